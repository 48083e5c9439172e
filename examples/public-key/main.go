// Receives webhooks without a secret: it verifies v1a signatures with the public keys that the sender publishes.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// keyring holds the public keys of one webhook. It reads them again when they are older than maxAge, so that a key that
// was replaced ends, and at once for a request that none of them verifies. It reads at most once in minAge, so that forged
// requests cost the sender nothing.
type keyring struct {
	url    string
	mutex  sync.Mutex
	keys   []ed25519.PublicKey
	readAt time.Time
}

const (
	minAge = 2 * time.Second
	maxAge = 5 * time.Minute
)

// current returns the keys, read not longer than age ago.
func (ring *keyring) current(age time.Duration) []ed25519.PublicKey {
	ring.mutex.Lock()
	defer ring.mutex.Unlock()
	if len(ring.keys) == 0 {
		age = minAge
	}
	if time.Since(ring.readAt) < age {
		return ring.keys
	}
	ring.readAt = time.Now()
	keys, err := read(ring.url)
	if err != nil {
		log.Print("keys: ", err)
		return ring.keys
	}
	ring.keys = keys
	return keys
}

func read(url string) ([]ed25519.PublicKey, error) {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s responded with %s", url, response.Status)
	}
	var set struct {
		Keys []struct{ Crv, X string } `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&set); err != nil {
		return nil, err
	}
	var keys []ed25519.PublicKey
	for _, key := range set.Keys {
		bytes, err := base64.RawURLEncoding.DecodeString(key.X)
		if err == nil && key.Crv == "Ed25519" && len(bytes) == ed25519.PublicKeySize {
			keys = append(keys, bytes)
		}
	}
	return keys, nil
}

func isSigned(keys []ed25519.PublicKey, header http.Header, body []byte) bool {
	timestamp := header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	signed := append([]byte(header.Get("webhook-id")+"."+timestamp+"."), body...)
	checked := 0
	for _, entry := range strings.Split(header.Get("webhook-signature"), " ") {
		encoded, isAsymmetric := strings.CutPrefix(entry, "v1a,")
		if !isAsymmetric || checked == 10 { // a sender has two at most
			continue
		}
		checked++
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, key := range keys {
			if ed25519.Verify(key, signed, signature) {
				return true
			}
		}
	}
	return false
}

func main() {
	ring := &keyring{url: os.Getenv("WEBHOOK_JWKS_URL")}
	if ring.url == "" {
		log.Fatal("Set WEBHOOK_JWKS_URL: …/.well-known/jwks.json?webhook_id=wh_…")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	http.HandleFunc("POST /webhooks/fltr", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "cannot read the body", http.StatusBadRequest)
			return
		}
		// The keys may have been rotated since they were read.
		if !isSigned(ring.current(maxAge), r.Header, body) && !isSigned(ring.current(minAge), r.Header, body) {
			http.Error(w, "not genuine", http.StatusUnauthorized)
			return
		}
		// Your logic; deduplicate on webhook-id, as the other examples do.
		fmt.Println(r.Header.Get("X-FLTR-Event"), r.Header.Get("webhook-id"), "verified")
	})
	server := &http.Server{Addr: "127.0.0.1:" + port, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
