package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"umroute/tun"
)

// Attachment is the body of POST /v1/attach: a new interface.
type Attachment struct {
	Name string `json:"name"`
	// Interface has the keys of an interface of the configuration, except fd.
	// Without addresses and peer-addresses the router chooses some.
	Interface json.RawMessage `json:"interface,omitempty"`
	// NamespaceID is device and inode of the network namespace that the caller
	// means, as "4:4026531840". The router does not open another one, as a
	// process ID would name it in another PID namespace. "" is any.
	NamespaceID string `json:"namespace_id,omitempty"`
}

// Detachment is the body of POST /v1/detach.
type Detachment struct {
	Name string `json:"name"`
}

// Attacher is a Backend that takes interfaces in and gives them up while it
// runs. Attach opens the device itself; where it may not, the error is a
// *Forbidden. AttachDevice takes it from a peer that calls tun.Send. Both wait
// until the interface forwards.
type Attacher interface {
	Attach(ctx context.Context, a Attachment) (Interface, error)
	AttachDevice(ctx context.Context, a Attachment, conn *net.UnixConn) (Interface, error)
	Detach(ctx context.Context, name string) error
}

// Forbidden says that the router may not open a device, which somebody else
// perhaps can.
type Forbidden struct {
	Err    error
	Device tun.Config // as it is to be opened
}

func (f *Forbidden) Error() string { return f.Err.Error() }

// Unwrap gives why it may not.
func (f *Forbidden) Unwrap() error { return f.Err }

// deviceProtocol is what a connection is upgraded to (RFC 9110 section 7.8) on
// which the client passes the device by tun.Send. The server then answers with
// one line of JSON, an Interface or a failure.
const deviceProtocol = "umroute-device"

// passTimeout bounds how long a client may take to pass a device.
const passTimeout = 10 * time.Second

func handleAttach(mux *http.ServeMux, backend Backend) {
	attacher, can := backend.(Attacher)
	if !can {
		return
	}
	mux.HandleFunc("POST /v1/attach", func(w http.ResponseWriter, r *http.Request) {
		var a Attachment
		if err := decode(w, r, &a); err != nil {
			respond(w, nil, err)
			return
		}
		if r.Header.Get("Upgrade") == deviceProtocol {
			takeDevice(w, r, attacher, a)
			return
		}
		document, err := attacher.Attach(r.Context(), a)
		respond(w, document, err)
	})
	mux.HandleFunc("POST /v1/detach", func(w http.ResponseWriter, r *http.Request) {
		var d Detachment
		err := decode(w, r, &d)
		if err == nil {
			err = attacher.Detach(r.Context(), d.Name)
		}
		respond(w, struct{}{}, err)
	})
}

// takeDevice upgrades the connection and takes the device from it. The client
// sends nothing before it has seen the answer, so the descriptor cannot come
// while the HTTP server still reads.
func takeDevice(w http.ResponseWriter, r *http.Request, attacher Attacher, a Attachment) {
	plain, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		respond(w, nil, err)
		return
	}
	defer plain.Close()
	conn, ok := plain.(*net.UnixConn)
	if !ok || buffered.Reader.Buffered() > 0 ||
		conn.SetDeadline(time.Now().Add(passTimeout)) != nil {
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
		"Upgrade: %s\r\n\r\n", deviceProtocol)
	var answer any
	answer, err = attacher.AttachDevice(r.Context(), a, conn)
	if err != nil {
		answer = failure{Error: err.Error()}
	}
	// The peer has gone when this fails: there is nobody left to tell.
	_ = json.NewEncoder(conn).Encode(answer)
}

// Attach has the router open a device and take it in. Where the router may not
// do so, open is called with the device that is wanted, and what it returns is
// passed to the router.
func (c *Client) Attach(ctx context.Context, a Attachment,
	open func(tun.Config) (*tun.Link, error)) (Interface, error) {
	var document Interface
	err := c.do(ctx, http.MethodPost, "attach", a, &document)
	forbidden, ok := errors.AsType[*Forbidden](err)
	if !ok || open == nil {
		return document, err
	}
	link, openErr := open(forbidden.Device)
	if openErr != nil {
		return document, fmt.Errorf("neither the router nor this program may open the device: "+
			"%w; %w", err, openErr)
	}
	return c.passDevice(ctx, a, link)
}

// Detach removes an interface.
func (c *Client) Detach(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodPost, "detach", Detachment{Name: name}, nil)
}

// passDevice hands a device over. It takes link, also on an error.
func (c *Client) passDevice(ctx context.Context, a Attachment,
	link *tun.Link) (document Interface, err error) {
	defer link.Close()
	body, err := json.Marshal(a)
	if err != nil {
		return document, err
	}
	conn, reader, err := c.upgrade(ctx, body)
	if err != nil {
		return document, err
	}
	defer conn.Close()
	if err := tun.Send(conn, link); err != nil {
		return document, err
	}
	var answer struct {
		Error string `json:"error"`
		Interface
	}
	if err := json.NewDecoder(reader).Decode(&answer); err != nil {
		return document, fmt.Errorf("read the router's answer: %w", err)
	}
	if answer.Error != "" {
		return document, errors.New(answer.Error)
	}
	return answer.Interface, nil
}

// upgrade asks for a connection that takes a device. The reader may have some
// of what the router has sent.
func (c *Client) upgrade(ctx context.Context, body []byte) (*net.UnixConn, io.Reader, error) {
	plain, err := (&net.Dialer{}).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, nil, c.explain(err)
	}
	conn := plain.(*net.UnixConn) // as every connection of network "unix"
	reader := bufio.NewReader(conn)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://umroute/v1/attach",
		bytes.NewReader(body))
	if err == nil {
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", deviceProtocol)
		err = errors.Join(conn.SetDeadline(time.Now().Add(passTimeout)), request.Write(conn))
	}
	var response *http.Response
	if err == nil {
		response, err = http.ReadResponse(reader, request)
	}
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = refusal(response)
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("pass a device to the router: %w", err)
	}
	return conn, reader, nil
}
