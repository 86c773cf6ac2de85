// Verifies what a witness gives with the Go checksum database's own code: a signed note, the log's size and root in it,
// the inclusion of entries, and earlier sizes. Reads one JSON object from standard input; exit code 1 names what fails.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type given struct {
	Note    string
	Keys    []string
	Entries []struct {
		Number int64
		Entry  string
		Path   []string
	}
	Trees []struct {
		Size  int64
		Root  string
		Proof []string
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func hashes(encoded []string) []tlog.Hash {
	proof := make([]tlog.Hash, len(encoded))
	for i, text := range encoded {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		must(err)
		copy(proof[i][:], raw)
	}
	return proof
}

func main() {
	var in given
	must(json.NewDecoder(os.Stdin).Decode(&in))
	var verifiers []note.Verifier
	for _, key := range in.Keys {
		verifier, err := note.NewVerifier(key)
		must(err)
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(in.Note), note.VerifierList(verifiers...))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	for _, entry := range in.Entries {
		leaf := tlog.RecordHash([]byte(entry.Entry))
		must(tlog.CheckRecord(tlog.RecordProof(hashes(entry.Path)), size, root, entry.Number, leaf))
	}
	for _, tree := range in.Trees {
		old := hashes([]string{tree.Root})[0]
		must(tlog.CheckTree(tlog.TreeProof(hashes(tree.Proof)), size, root, tree.Size, old))
	}
	for _, signature := range opened.Sigs {
		fmt.Println(signature.Name)
	}
}
