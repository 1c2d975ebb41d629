package control

// Relay is what the link-local relay does, in the document of its protocol.
type Relay struct {
	Rules []RelayRule `json:"rules"`
	// Relayed counts the datagrams sent, one for each interface.
	Relayed uint64            `json:"relayed"`
	Dropped map[string]uint64 `json:"dropped"` // by reason
}

// RelayRule is a rule of the relay with what it has done.
type RelayRule struct {
	Groups     []string `json:"groups"` // with their ports
	Interfaces []string `json:"interfaces"`
	Rate       int      `json:"rate"` // datagrams a second that an interface may bring
	// Received counts the datagrams that the rule is for, Relayed those sent.
	Received uint64 `json:"received"`
	Relayed  uint64 `json:"relayed"`
}
