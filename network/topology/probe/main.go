// probe asks the process of its container whether it is well: status 0 if so. It is one static program, since images
// of peers and orderers have neither shell nor HTTP client to rely on.
//
// The argument is a file: {"url": "http://…"}, or {"url": "https://…", "folder": "…"} for mutual TLS with the folder's
// ca.crt, server.crt and server.key.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const patience = 4 * time.Second

type question struct {
	URL    string `json:"url"`
	Folder string `json:"folder"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: probe FILE")
	}
	if err := ask(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func ask(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var asked question
	if err := json.Unmarshal(raw, &asked); err != nil {
		return err
	}
	return get(asked)
}

func get(asked question) error {
	transport := &http.Transport{}
	if asked.Folder != "" {
		settings, err := mutual(asked.Folder)
		if err != nil {
			return err
		}
		transport.TLSClientConfig = settings
	}
	client := &http.Client{Transport: transport, Timeout: patience}
	answer, err := client.Get(asked.URL)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

func mutual(folder string) (*tls.Config, error) {
	root, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		return nil, fmt.Errorf("no certificate in ca.crt")
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, "server.crt"), filepath.Join(folder, "server.key"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}, nil
}
