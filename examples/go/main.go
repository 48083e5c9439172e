// A receiver of FLTR webhooks: verify, respond at once, then process each event once.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance     = 5 * time.Minute
	rememberedIDs = 10_000
	maxWaiting    = 1_000
	maxBodyBytes  = 1 << 20
)

type event struct {
	ID        string          `json:"id"`
	Event     string          `json:"event"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

type verifier func(secret string, header http.Header, body []byte) bool

// verifySignature checks X-FLTR-Signature: hex HMAC-SHA256 of the body, keyed with the whole secret, "whsec_" included.
func verifySignature(secret string, header http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	expected := hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(expected), []byte(header.Get("X-FLTR-Signature")))
}

// verifyStandard checks Standard Webhooks: base64 HMAC-SHA256 of id.timestamp.body, keyed with the base64-decoded
// part after "whsec_". The time is signed too, so an old request is refused.
func verifyStandard(secret string, header http.Header, body []byte) bool {
	timestamp := header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", header.Get("webhook-id"), timestamp)
	mac.Write(body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	// A list: during a rotation's overlap, it has a signature of each secret.
	for _, signature := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(expected), []byte(signature)) {
			return true
		}
	}
	return false
}

// receive responds when verify has accepted the request, and leaves the processing for later.
func receive(secret string, verify verifier, events chan<- event) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// The raw bytes: JSON that was parsed and written again has another signature.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		if err != nil {
			http.Error(w, "Cannot read the body", http.StatusBadRequest)
			return
		}
		if !verify(secret, r.Header, body) {
			http.Error(w, "Invalid signature", http.StatusUnauthorized)
			return
		}
		var received event
		if err := json.Unmarshal(body, &received); err != nil || received.ID == "" || received.Event == "" {
			http.Error(w, "Not an event", http.StatusBadRequest)
			return
		}
		select {
		case events <- received:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, `{"received":true}`)
		default:
			// A 5xx is retried later, a 4xx is not.
			http.Error(w, "Busy", http.StatusServiceUnavailable)
		}
	}
}

// work is one goroutine, so that looking up an id and remembering it cannot race.
func work(events <-chan event) {
	processed := make(map[string]bool)
	var order []string
	for received := range events {
		name := received.Event + " " + received.ID
		if processed[received.ID] {
			fmt.Println(name, "duplicate, ignored")
			continue
		}
		if err := process(received); err != nil {
			fmt.Println(name, "could not be processed:", err)
			continue
		}
		processed[received.ID] = true
		order = append(order, received.ID)
		if len(order) > rememberedIDs {
			delete(processed, order[0])
			order = order[1:]
		}
		fmt.Println(name, "processed")
	}
}

// process is your logic. GET /v1/event-types shows the fields of Data for each type.
func process(received event) error {
	switch received.Event {
	case "document.processed":
	case "document.processing_failed":
	}
	return nil
}

func main() {
	secret := os.Getenv("WEBHOOK_SECRET")
	if !strings.HasPrefix(secret, "whsec_") {
		log.Fatal("Set WEBHOOK_SECRET to the webhook's secret: whsec_…")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	events := make(chan event, maxWaiting)
	go work(events)

	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/fltr", receive(secret, verifySignature, events))
	mux.Handle("POST /webhooks/standard", receive(secret, verifyStandard, events))
	server := &http.Server{
		Addr:              "127.0.0.1:" + port,
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	fmt.Printf("Listening on http://%s/webhooks/fltr\n", server.Addr)
	log.Fatal(server.ListenAndServe())
}
