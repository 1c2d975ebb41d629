package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Explainer is a router that can say why a flow is forwarded or not.
type Explainer interface {
	Explain(ctx context.Context, question Question) (Explanation, error)
}

// MaxWait bounds how long a router looks for packets of a flow.
const MaxWait = 10 * time.Second

// Question is what GET /v1/explain asks.
type Question struct {
	Source    netip.Addr
	Group     netip.Addr
	Interface string
	// Wait is how long to look for packets of the flow, up to MaxWait, where what
	// is known does not decide.
	Wait time.Duration
}

// Explanation is the answer of GET /v1/explain.
type Explanation struct {
	Source    string    `json:"source"`
	Group     string    `json:"group"`
	Interface string    `json:"interface"`
	Forwarded bool      `json:"forwarded"`
	Cause     string    `json:"cause"`
	Text      string    `json:"text"`
	Rule      string    `json:"rule"`
	Remedy    string    `json:"remedy"` // "" where there is nothing to do
	RIB       *RIBRoute `json:"rib,omitempty"`
	Seen      []Seen    `json:"seen"`
}

// RIBRoute is what the RIB says about a source, and a row of "show rib".
type RIBRoute struct {
	Prefix    string `json:"prefix"`
	Interface string `json:"interface"`
	Via       string `json:"via"` // "" where the source is on the link
	Kind      string `json:"kind"`
}

// Seen is packets that came in while the router looked, and were dropped.
type Seen struct {
	Interface string `json:"interface"`
	Reason    string `json:"reason"`
	Packets   uint64 `json:"packets"`
}

// question reads the query of GET /v1/explain.
func question(query url.Values) (Question, error) {
	var q Question
	var err error
	if q.Source, err = netip.ParseAddr(query.Get("source")); err != nil {
		return q, fmt.Errorf("%w source %q", ErrInvalid, query.Get("source"))
	}
	q.Group, err = netip.ParseAddr(query.Get("group"))
	if err != nil || !q.Group.IsMulticast() || q.Group.Is4() != q.Source.Is4() {
		return q, fmt.Errorf("%w group %q for source %s", ErrInvalid, query.Get("group"), q.Source)
	}
	q.Interface = query.Get("interface")
	if text := query.Get("wait"); text != "" {
		q.Wait, err = time.ParseDuration(text)
		if err != nil || q.Wait < 0 || q.Wait > MaxWait {
			return q, fmt.Errorf("%w wait %q: 0s to %s", ErrInvalid, text, MaxWait)
		}
	}
	return q, nil
}

func explain(explainer Explainer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := question(r.URL.Query())
		if err != nil {
			respond(w, nil, err)
			return
		}
		answer, err := explainer.Explain(r.Context(), q)
		respond(w, answer, err)
	}
}

// Explain asks why a flow is forwarded or not.
func (c *Client) Explain(ctx context.Context, q Question) (Explanation, error) {
	query := url.Values{"source": {q.Source.String()}, "group": {q.Group.String()},
		"interface": {q.Interface}, "wait": {q.Wait.String()}}
	var answer Explanation
	err := c.do(ctx, http.MethodGet, "explain?"+query.Encode(), nil, &answer)
	return answer, err
}
