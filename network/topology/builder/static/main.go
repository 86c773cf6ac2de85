// The external builder of builder/bin as one static program, for images of the peer without a shell: detect, build or
// release, by the name under which it is called (Fabric docs/source/cc_launcher.md).
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

const connection = "connection.json"

func main() {
	log.SetFlags(0)
	step := filepath.Base(os.Args[0])
	if err := run(step, os.Args[1:]); err != nil {
		log.Fatalf("%s: %v", step, err)
	}
}

func run(step string, folders []string) error {
	switch {
	case step == "detect" && len(folders) == 2:
		return detect(folders[1])
	case step == "build" && len(folders) == 3:
		return copyFile(filepath.Join(folders[0], connection), filepath.Join(folders[2], connection))
	case step == "release" && len(folders) == 2:
		server := filepath.Join(folders[1], "chaincode", "server")
		if err := os.MkdirAll(server, 0o700); err != nil {
			return err
		}
		return copyFile(filepath.Join(folders[0], connection), filepath.Join(server, connection))
	default:
		return fmt.Errorf("call it as detect SOURCE METADATA, build SOURCE METADATA OUTPUT or release OUTPUT RELEASE")
	}
}

// detect accepts the package of a contract that runs as a service.
func detect(metadata string) error {
	raw, err := os.ReadFile(filepath.Join(metadata, "metadata.json"))
	if err != nil {
		return err
	}
	var told struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &told); err != nil {
		return err
	}
	if told.Type != "ccaas" {
		return fmt.Errorf("not a contract that runs as a service")
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
