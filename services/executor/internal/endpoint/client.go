package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

//go:embed schema.json
var schemaFile []byte

// Schema is the JSON Schema of a Form.
func Schema() []byte { return schemaFile }

// Limits of what is said to a service and what it says.
const (
	maxRedirects = 3
	dialTimeout  = 5 * time.Second
	maxRead      = 4 * kind.MaxOutput // bytes that are read of a body, to count what is not kept
)

// ErrRedirect is in the chain of an error about a redirect that is not followed.
var ErrRedirect = errors.New("the redirect is not allowed")

// Client speaks to one target. It is safe for concurrent use.
type Client struct {
	target   Target
	header   http.Header
	secrets  []string
	tls      *tls.Config
	resolver *net.Resolver // nil for the system's
	own      *http.Transport
	foreign  *http.Transport // for redirects to other hosts: without the client's certificate
}

// Request is one request below the target's base.
type Request struct {
	Method string
	Path   string // escaped, begins with a slash
	Query  url.Values
	Body   []byte // JSON; nil for none
	Header http.Header
}

// Response is an answer, whatever its status.
type Response struct {
	Status  int
	Type    string // media type
	Body    string
	Dropped int64 // bytes of the body that are missing
}

// Connect reads the files that the target names. It speaks to nobody yet; the error is Invalid.
func Connect(t Target) (*Client, error) {
	c := &Client{target: t, header: http.Header{"User-Agent": {"palmops"}}, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	for _, h := range t.Headers {
		secret, err := c.secret(h.File)
		if err != nil {
			return nil, err
		}
		c.header.Set(h.Name, h.Value.String(map[string]any{secretPlace: secret}, nil))
	}
	if t.User != "" {
		password, err := c.secret(t.Password)
		if err != nil {
			return nil, err
		}
		pair := base64.StdEncoding.EncodeToString([]byte(t.User + ":" + password))
		c.secrets = append(c.secrets, pair)
		c.header.Set("Authorization", "Basic "+pair)
	}
	if t.CA != "" {
		pem, err := conf.Read(t.CA)
		if err != nil {
			return nil, err
		}
		c.tls.RootCAs = x509.NewCertPool()
		if !c.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "target %s: no certificate in %s", t.Name, t.CA)
		}
	}
	c.foreign = c.transport(c.tls.Clone())
	if t.Cert != "" {
		key, err := conf.ReadPrivate(t.Key)
		if err != nil {
			return nil, err
		}
		cert, err := conf.Read(t.Cert)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fault.New(fault.Invalid, "target %s: %s and %s are not a certificate and its key", t.Name, t.Cert, t.Key)
		}
		c.tls.Certificates = []tls.Certificate{pair}
	}
	c.own = c.transport(c.tls)
	return c, nil
}

// secret reads a file that holds one line; "" for no file.
func (c *Client) secret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := conf.ReadPrivate(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(data))
	if s == "" || !printable(s) {
		return "", fault.New(fault.Invalid, "%s must hold one secret of printable ASCII", file)
	}
	c.secrets = append(c.secrets, s)
	return s, nil
}

// transport never asks a proxy: it would resolve names by itself, behind the back of Target.control.
func (c *Client) transport(cfg *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext: c.dial, TLSClientConfig: cfg, TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: 2,
		IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, Control: c.target.control, Resolver: c.resolver}
	return d.DialContext(ctx, network, address)
}

// Secrets are what the files of the target held, in the forms in which they are sent.
func (c *Client) Secrets() []string { return c.secrets }

// Close lets go of idle connections.
func (c *Client) Close() {
	c.own.CloseIdleConnections()
	c.foreign.CloseIdleConnections()
}

// URL is where a request leads to. Nothing in it can leave the target's host or the base's path.
func (c *Client) URL(r Request) (*url.URL, error) {
	decoded, err := url.PathUnescape(r.Path)
	if err != nil || !strings.HasPrefix(r.Path, "/") {
		return nil, fault.New(fault.Internal, "%q is not an escaped path", r.Path)
	}
	for segment := range strings.SplitSeq(r.Path, "/") {
		if s, err := url.PathUnescape(segment); err != nil || s == "." || s == ".." {
			return nil, fault.New(fault.Invalid, "%q leaves the path", r.Path)
		}
	}
	u := *c.target.Base
	u.RawPath = u.EscapedPath() + r.Path
	u.Path += decoded
	u.RawQuery = r.Query.Encode()
	return &u, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	u, err := c.URL(r)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.Body != nil {
		body = strings.NewReader(string(r.Body))
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), body)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "request")
	}
	req.Header = c.header.Clone()
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// Read asks with a method that changes nothing, within the target's timeout, and follows up to three redirects. Errors are to be
// shown by Explain.
func (c *Client) Read(ctx context.Context, r Request) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.target.Timeout)
	defer cancel()
	req, err := c.request(ctx, r)
	if err != nil {
		return Response{}, err
	}
	for n := 0; ; n++ {
		transport := c.own
		if origin(req.URL) != origin(c.target.Base) {
			transport = c.foreign
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return Response{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), err)
		}
		to := res.Header.Get("Location")
		if to == "" || res.StatusCode < 301 || res.StatusCode > 308 || res.StatusCode == http.StatusNotModified {
			return read(res)
		}
		if err := res.Body.Close(); err != nil {
			return Response{}, fmt.Errorf("close: %w", err)
		}
		if req, err = c.follow(req, to, n); err != nil {
			return Response{}, err
		}
	}
}

// follow makes the request for a redirect, with the target's headers only where they belong.
func (c *Client) follow(from *http.Request, to string, n int) (*http.Request, error) {
	u, err := from.URL.Parse(to)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return nil, fmt.Errorf("from %s: %w", from.URL.Redacted(), ErrRedirect)
	case n >= maxRedirects, from.URL.Scheme == "https" && u.Scheme != "https", !c.target.knows(u):
		return nil, fmt.Errorf("from %s to %s://%s: %w", from.URL.Redacted(), u.Scheme, u.Host, ErrRedirect)
	}
	u.Fragment = ""
	req, err := http.NewRequestWithContext(from.Context(), from.Method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRedirect, err)
	}
	req.Header = http.Header{"User-Agent": c.header["User-Agent"]}
	if origin(u) == origin(c.target.Base) {
		req.Header = c.header.Clone()
	}
	return req, nil
}

func read(res *http.Response) (Response, error) {
	var body kind.Capture
	_, err := io.Copy(&body, io.LimitReader(res.Body, maxRead))
	_ = res.Body.Close() // what was read counts
	out := Response{Status: res.StatusCode, Type: res.Header.Get("Content-Type")}
	out.Body, out.Dropped = body.Text()
	if err != nil {
		return out, fmt.Errorf("body: %w", err)
	}
	return out, nil
}
