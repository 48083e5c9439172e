// Saves a document and publishes an event in one transaction; a second transaction is rolled back and sends nothing.
//
// Usage: DATABASE_URL=postgres://… ACCOUNT_ID=acc_… go run .
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
)

type processed struct {
	DocumentID    string `json:"document_id"`
	DatasetID     string `json:"dataset_id"`
	ChunksCreated int    `json:"chunks_created"`
}

func saveDocument(ctx context.Context, tx pgx.Tx, accountID, title string) (string, error) {
	id := "doc_" + rand.Text()
	if _, err := tx.Exec(ctx, "insert into documents (id, title) values ($1, $2)", id, title); err != nil {
		return "", err
	}
	data, err := json.Marshal(processed{DocumentID: id, DatasetID: "ds_1", ChunksCreated: 47})
	if err != nil {
		return "", err
	}
	// As text: it is sent exactly as it is written here.
	var event string
	err = tx.QueryRow(ctx,
		"select fltr_outbox.publish('document.processed', $1::text, account => $2)",
		string(data), accountID,
	).Scan(&event)
	return event, err
}

var errFailed = errors.New("something after it has failed")

func run(ctx context.Context, databaseURL, accountID string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create table if not exists documents (id text primary key, title text not null)"); err != nil {
		return err
	}

	// Commits when the function returns nil, else rolls back.
	var event string
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
		event, err = saveDocument(ctx, tx, accountID, "Kept")
		return err
	})
	if err != nil {
		return err
	}
	fmt.Println("committed", event)

	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		lost, err := saveDocument(ctx, tx, accountID, "Never saved")
		if err != nil {
			return err
		}
		fmt.Println("rolled back", lost)
		return errFailed
	})
	if !errors.Is(err, errFailed) {
		return err
	}
	fmt.Println(err)
	return nil
}

func main() {
	databaseURL, accountID := os.Getenv("DATABASE_URL"), os.Getenv("ACCOUNT_ID")
	if databaseURL == "" || accountID == "" {
		log.Fatal("Set DATABASE_URL and ACCOUNT_ID.")
	}
	if err := run(context.Background(), databaseURL, accountID); err != nil {
		log.Fatal(err)
	}
}
