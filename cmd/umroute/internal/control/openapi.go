package control

import (
	_ "embed"
	"net/http"
)

// Description is the API of the control socket, as OpenAPI describes APIs.
//
//go:embed openapi.yaml
var Description []byte

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	// The peer has gone when this fails: there is nobody left to tell.
	_, _ = w.Write(Description)
}
