package redis

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"palmops/libs/lang"
	"palmops/libs/looptest"
	"palmops/libs/redistest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang is a guard against waiting for ever and no measure of anything.
const hang = 60 * time.Second

const password = "palmops-secret-2"

// start makes a server with the account that the README asks for.
func start(t testing.TB) (*redistest.Server, *redis.Client) {
	t.Helper()
	s := redistest.New(t)
	root := rootOf(t, s)
	if err := root.Do(within(t), "ACL", "SETUSER", "palmops", "on", ">"+password, "~*", "resetchannels", "-@all", "+@read", "+@write", "+ping", "+info", "+time", "+dbsize",
		"+client|list", "+client|kill", "+client|setname", "+slowlog|get", "+memory|usage", "+memory|stats", "+memory|doctor", "+command|info", "+hello", "+auth", "+select").Err(); err != nil {
		t.Fatal(err)
	}
	return s, root
}

func rootOf(t testing.TB, s *redistest.Server) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.DisableIdentity = true
	root := redis.NewClient(o)
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func target(t testing.TB, s *redistest.Server) Server {
	t.Helper()
	return Server{Name: "cache", Addresses: []string{s.Socket()}, User: "palmops", PasswordFile: passwordFile(t, password+"\n")}
}

func passwordFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func kindOf(t testing.TB, s Server) *Kind {
	t.Helper()
	k, err := New(map[string]Server{"cache": s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func newKind(t testing.TB) (*Kind, *redis.Client) {
	t.Helper()
	s, root := start(t)
	return kindOf(t, target(t, s)), root
}

func action(verb string) catalog.Action {
	return catalog.Action{Name: "cache." + verb, Kind: Name, Verb: verb, Target: "cache", Timeout: hang}
}

func work(verb string, args map[string]any) kind.Work {
	return kind.Work{ID: wire.DeriveID(verb, time.Now().String()), Action: action(verb), Args: args, Timeout: hang, Lang: lang.Chinese}
}

// fixed is the work of a command that a catalog fixes.
func fixed(t testing.TB, verb, argv, params string, args map[string]any) kind.Work {
	t.Helper()
	w := work(verb, args)
	w.Action = whole(t, verb, params, "settings: {argv: ["+argv+"]}")
	return w
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return ctx
}

// victim is a connection of somebody else.
type victim struct {
	conn *redis.Conn
	id   int64
}

func newVictim(t testing.TB, c *redis.Client) victim {
	t.Helper()
	conn := c.Conn()
	t.Cleanup(func() { _ = conn.Close() })
	id, err := conn.ClientID(within(t)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return victim{conn, id}
}

func (v victim) text() string { return strconv.FormatInt(v.id, 10) }

// there reports whether the server still has the connection.
func (v victim) there(t testing.TB, c *redis.Client) bool {
	t.Helper()
	s, err := c.Do(within(t), "CLIENT", "LIST", "ID", v.id).Text()
	if err != nil {
		t.Fatal(err)
	}
	return s != ""
}

// silent is an address that takes connections and says nothing.
func silent(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// free is an address of its own with a port: somewhere to start a server.
func free(t testing.TB) (at, host, port string) {
	t.Helper()
	at, err := looptest.Address()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ = strings.Cut(at, ":")
	return at, host, port
}
