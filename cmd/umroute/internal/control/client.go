package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client talks to one router. The zero Client is not usable: Dial makes one.
type Client struct {
	path string
	http http.Client
}

// Dial gives a client of the router behind the socket at path. It connects
// with the first request.
func Dial(path string) *Client {
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{
		Transport: &http.Transport{DialContext: connect}}}
}

// Show decodes the document of that name into value.
func (c *Client) Show(ctx context.Context, document string, value any) error {
	return c.do(ctx, http.MethodGet, document, nil, value)
}

// Join adds a static membership.
func (c *Client) Join(ctx context.Context, change MembershipChange) error {
	return c.do(ctx, http.MethodPost, "join", change, nil)
}

// Leave removes a static membership.
func (c *Client) Leave(ctx context.Context, change MembershipChange) error {
	return c.do(ctx, http.MethodPost, "leave", change, nil)
}

// Clear forgets what the router has learnt: groups, routes or stats.
func (c *Client) Clear(ctx context.Context, document string) error {
	return c.do(ctx, http.MethodPost, document+"/clear", nil, nil)
}

func (c *Client) do(ctx context.Context, method, path string, body, value any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://umroute/v1/"+path, content)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	if value == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(value); err != nil {
		return fmt.Errorf("read the router's answer: %w", err)
	}
	return nil
}

// explain strips the made-up URL from a connection error.
func (c *Client) explain(err error) error {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("connect to the router at %s: %w", c.path, operation.Err)
	}
	return fmt.Errorf("ask the router at %s: %w", c.path, err)
}

func refusal(response *http.Response) error {
	var answer failure
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error == "" {
		return fmt.Errorf("the router answered %s", response.Status)
	}
	err := errors.New(answer.Error)
	if answer.Device != nil {
		return &Forbidden{Err: err, Device: *answer.Device}
	}
	if response.StatusCode == http.StatusUnprocessableEntity {
		return &WrongConfiguration{Err: err}
	}
	return err
}
