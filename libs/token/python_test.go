package token

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const installHint = "the Python library that this package must agree with is missing; install it: apt-get install python3-itsdangerous"

// python is the real itsdangerous in a process of its own, see testdata/oracle.py.
type python struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Reader
}

// pyRequest and pyResult are explained in testdata/oracle.py.
type pyRequest struct {
	Class      string     `json:"class"`
	Keys       [][]byte   `json:"keys"`
	Salt       *string    `json:"salt"`
	StampKeys  [][]byte   `json:"stamp_keys,omitempty"`
	StampSalt  *string    `json:"stamp_salt"`
	Sep        string     `json:"sep"`
	Derivation string     `json:"derivation"`
	Digest     string     `json:"digest"`
	Fallbacks  []pyHow    `json:"fallbacks,omitempty"`
	Now        int64      `json:"now"`
	MaxAge     *int64     `json:"max_age"`
	Items      []pyDoItem `json:"items"`
}

func pyDumps(value string) pyDoItem { return pyDoItem{Dumps: &value} }

func pyLoads(text string) pyDoItem {
	raw := []byte(text)
	return pyDoItem{Loads: &raw}
}

type pyHow struct {
	Derivation string `json:"derivation"`
	Digest     string `json:"digest"`
}

type pyDoItem struct {
	Dumps *string `json:"dumps,omitempty"`
	Loads *[]byte `json:"loads,omitempty"`
}

type pyResult struct {
	Token   []byte  `json:"token"`
	Value   *string `json:"value"`
	Time    *int64  `json:"time"`
	Class   string  `json:"class"`
	Payload []byte  `json:"payload"`
	Date    *int64  `json:"date"`
}

// startPython starts Debian's Python, whatever else is first on the path. It fails, never skips, without the library.
func startPython(t *testing.T) *python {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // only against a hang
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "testdata/oracle.py")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("%s (%v)", installHint, err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python: %v\n%s", err, stderr.String())
		}
		cancel()
	})
	p := &python{t: t, in: json.NewEncoder(stdin), out: bufio.NewReaderSize(stdout, 1<<20)}
	var hello struct{ Version, Missing string }
	p.read(&hello)
	if hello.Missing != "" {
		t.Fatalf("%s (%s)", installHint, hello.Missing)
	}
	t.Logf("itsdangerous %s", hello.Version)
	return p
}

func (p *python) read(v any) {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("python stopped: %v", err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		p.t.Fatalf("python said %q: %v", line, err)
	}
}

func (p *python) ask(req pyRequest) []pyResult {
	p.t.Helper()
	if err := p.in.Encode(req); err != nil {
		p.t.Fatalf("python stopped: %v", err)
	}
	var answer struct{ Results []pyResult }
	p.read(&answer)
	if len(answer.Results) != len(req.Items) {
		p.t.Fatalf("python gave %d results for %d items", len(answer.Results), len(req.Items))
	}
	return answer.Results
}

// setup is one configuration of both sides.
type setup struct {
	class  string
	keys   [][]byte
	maxAge *int64
	now    int64
	Options
	stampKeys [][]byte // of Layered, whose Salt is the payload's
	stampSalt string
}

var classes = []string{"Signer", "TimestampSigner", "Serializer", "URLSafeSerializer", "TimedSerializer", "URLSafeTimedSerializer", "Layered"}

func (s setup) signsBytes() bool { return strings.HasSuffix(s.class, "Signer") }

func (s setup) hasTime() bool { return strings.Contains(s.class, "Time") || s.class == "Layered" }

func (s setup) urlSafe() bool { return strings.Contains(s.class, "URLSafe") || s.class == "Layered" }

func (s setup) request(items []pyDoItem) pyRequest {
	req := pyRequest{
		Class: s.class, Keys: s.keys, Sep: s.Sep, Derivation: s.Derivation.String(), Digest: s.Digest.String(),
		Now: s.now, MaxAge: s.maxAge, Items: items,
	}
	if req.Sep == "" {
		req.Sep = "."
	}
	if s.Salt != "" || s.EmptySalt {
		req.Salt = &s.Salt
	}
	if s.class == "Layered" {
		req.StampKeys = s.stampKeys
		if s.stampSalt != "" {
			req.StampSalt = &s.stampSalt
		}
	}
	for _, f := range s.Fallbacks {
		req.Fallbacks = append(req.Fallbacks, pyHow{f.Derivation.String(), f.Digest.String()})
	}
	return req
}

// ours is a class of this package behind the oracle's interface: signers take and give base64, serializers JSON.
type ours struct {
	dumps func(value string) (string, error)
	loads func(text string) (value string, at *int64, err error)
}

func (s setup) ours(t *testing.T) ours {
	t.Helper()
	o := s.Options
	o.Now = func() time.Time { return time.Unix(s.now, 999_999_999) } // the fraction must not count
	maxAge := AnyAge
	if s.maxAge != nil {
		maxAge = max(time.Duration(min(*s.maxAge, math.MaxInt64/int64(time.Second)))*time.Second, time.Nanosecond)
	}
	text := func(v []byte) string { return base64.StdEncoding.EncodeToString(v) }
	raw := func(v string) []byte {
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	unix := func(at time.Time) *int64 { n := at.Unix(); return &n }
	check := func(err error) {
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
	}
	switch s.class {
	case "Signer":
		signer, err := NewSigner(s.keys, o)
		check(err)
		return ours{
			func(v string) (string, error) { return string(signer.Sign(raw(v))), nil },
			func(v string) (string, *int64, error) {
				value, err := signer.Unsign([]byte(v))
				return text(value), nil, err
			},
		}
	case "TimestampSigner":
		signer, err := NewTimestampSigner(s.keys, o)
		check(err)
		return ours{
			func(v string) (string, error) { return string(signer.Sign(raw(v))), nil },
			func(v string) (string, *int64, error) {
				value, at, err := signer.Unsign([]byte(v), maxAge)
				return text(value), unix(at), err
			},
		}
	case "Serializer", "URLSafeSerializer":
		construct := NewSerializer
		if s.class == "URLSafeSerializer" {
			construct = NewURLSafeSerializer
		}
		serializer, err := construct(s.keys, o)
		check(err)
		return ours{
			func(v string) (string, error) { return serializer.Dumps(json.RawMessage(v)) },
			func(v string) (string, *int64, error) {
				var value json.RawMessage
				err := serializer.Loads(v, &value)
				return string(value), nil, err
			},
		}
	case "Layered":
		layered, err := NewLayered(LayeredOptions{
			PayloadKeys: s.keys, StampKeys: s.stampKeys, PayloadSalt: o.Salt, StampSalt: s.stampSalt,
			Derivation: o.Derivation, Digest: o.Digest, Now: o.Now, Leeway: o.Leeway, MaxInflated: o.MaxInflated,
		})
		check(err)
		return ours{
			func(v string) (string, error) { return layered.Dumps(json.RawMessage(v)) },
			func(v string) (string, *int64, error) {
				var value json.RawMessage
				at, err := layered.Loads(v, maxAge, &value)
				return string(value), unix(at), err
			},
		}
	default:
		construct := NewTimedSerializer
		if s.class == "URLSafeTimedSerializer" {
			construct = NewURLSafeTimedSerializer
		}
		serializer, err := construct(s.keys, o)
		check(err)
		return ours{
			func(v string) (string, error) { return serializer.Dumps(json.RawMessage(v)) },
			func(v string) (string, *int64, error) {
				var value json.RawMessage
				at, err := serializer.Loads(v, maxAge, &value)
				return string(value), unix(at), err
			},
		}
	}
}
