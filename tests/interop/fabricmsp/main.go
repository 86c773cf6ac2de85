// What Hyperledger Fabric's own membership service says of certificates (package msp, as peers call it).
//
// Reads one JSON object per line: {"msp": base64 of msp.MSPConfig, "identity": base64 of msp.SerializedIdentity,
// "message": base64, "signature": base64}. Answers one line each: {"error": text or "", "roles": [names],
// "identifier": hex, "signed": bool}. An error is the first one of setup, deserialisation and validation.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/golang/protobuf/proto"
	mb "github.com/hyperledger/fabric-protos-go/msp"
	"github.com/hyperledger/fabric/bccsp/sw"
	"github.com/hyperledger/fabric/common/flogging"
	"github.com/hyperledger/fabric/msp"
)

const longestLine = 1 << 22

type asked struct {
	MSP       []byte `json:"msp"`
	Identity  []byte `json:"identity"`
	Message   []byte `json:"message"`
	Signature []byte `json:"signature"`
}

type answer struct {
	Error      string   `json:"error"`
	Roles      []string `json:"roles"`
	Identifier string   `json:"identifier"`
	Signed     bool     `json:"signed"`
}

// known keeps what was set up: many identities are of one MSP.
var known = map[string]msp.MSP{}

func main() {
	flogging.Init(flogging.Config{LogSpec: "fatal", Writer: os.Stderr})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longestLine)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	told := json.NewEncoder(out)
	for lines.Scan() {
		var question asked
		if err := json.Unmarshal(lines.Bytes(), &question); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := told.Encode(judge(question)); err != nil {
			os.Exit(2)
		}
	}
	if lines.Err() != nil {
		fmt.Fprintln(os.Stderr, lines.Err())
		os.Exit(2)
	}
}

// judge answers one question. This version of Fabric panics at a root that is no authority (sanitizeCert, chain[1]).
func judge(question asked) (told answer) {
	defer func() {
		if reason := recover(); reason != nil {
			told = answer{Error: fmt.Sprint("panic: ", reason)}
		}
	}()
	members, err := setUp(question.MSP)
	if err != nil {
		return answer{Error: "setup: " + err.Error()}
	}
	identity, err := members.DeserializeIdentity(question.Identity)
	if err != nil {
		return answer{Error: "identity: " + err.Error()}
	}
	if err := identity.Validate(); err != nil {
		return answer{Error: "invalid: " + err.Error()}
	}
	signed := len(question.Signature) > 0 && identity.Verify(question.Message, question.Signature) == nil
	return answer{Roles: roles(identity), Identifier: identity.GetIdentifier().Id, Signed: signed}
}

// setUp makes an MSP as a channel with capability V2_0 does.
func setUp(raw []byte) (msp.MSP, error) {
	if members, ok := known[string(raw)]; ok {
		return members, nil
	}
	config := &mb.MSPConfig{}
	if err := proto.Unmarshal(raw, config); err != nil {
		return nil, err
	}
	provider, err := sw.NewDefaultSecurityLevelWithKeystore(sw.NewDummyKeyStore())
	if err != nil {
		return nil, err
	}
	members, err := msp.New(&msp.BCCSPNewOpts{NewBaseOpts: msp.NewBaseOpts{Version: msp.MSPv1_4_3}}, provider)
	if err != nil {
		return nil, err
	}
	if err := members.Setup(config); err != nil {
		return nil, err
	}
	known[string(raw)] = members
	return members, nil
}

func roles(identity msp.Identity) []string {
	held := []string{}
	for number := int32(0); number < int32(len(mb.MSPRole_MSPRoleType_name)); number++ {
		role, err := proto.Marshal(&mb.MSPRole{MspIdentifier: identity.GetMSPIdentifier(), Role: mb.MSPRole_MSPRoleType(number)})
		if err != nil {
			panic(err)
		}
		principal := &mb.MSPPrincipal{PrincipalClassification: mb.MSPPrincipal_ROLE, Principal: role}
		if identity.SatisfiesPrincipal(principal) == nil {
			held = append(held, mb.MSPRole_MSPRoleType_name[number])
		}
	}
	return held
}
