package redis

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"palmops/libs/fault"
	"palmops/services/executor/internal/credential"
)

// Bounds of the connections to one server, and the longest wait for one answer.
const (
	poolSize = 4
	idleTime = time.Minute
	dialTime = 3 * time.Second
	readTime = 3 * time.Second
	ownTime  = 5 * time.Second // for what must be done after the work's own time
)

// quiet drops what the client library would write to standard error: each call returns its error as well.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(quiet{}) }

// server is the way to one Redis. Connections are opened when they are needed.
type server struct {
	Server
	c         redis.UniversalClient
	passwords credential.Secrets
}

// connect makes the way; it speaks to nobody yet. Invalid when a file that it needs cannot be used.
func connect(c Server) (*server, error) {
	s := &server{Server: c}
	give := func(err error) error { return fault.Wrap(fault.Invalid, err, "redis "+c.Name) }
	if _, err := s.passwords.Read(c.PasswordFile); err != nil {
		return nil, give(err)
	}
	sentinel, err := s.passwords.Read(c.SentinelPasswordFile)
	if err != nil {
		return nil, give(err)
	}
	o := &redis.UniversalOptions{
		Addrs: c.Addresses, DB: c.DB, MasterName: c.Master, IsClusterMode: c.Cluster, SentinelPassword: sentinel,
		Protocol: 2, MaxRetries: -1, DialerRetries: 1, DialTimeout: dialTime, ReadTimeout: readTime, WriteTimeout: readTime, PoolTimeout: readTime,
		ContextTimeoutEnabled: true, PoolSize: poolSize, MaxActiveConns: poolSize, MaxIdleConns: 1, ConnMaxIdleTime: idleTime,
		ReadBufferSize: 8 << 10, WriteBufferSize: 8 << 10, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	// The password is read anew for each connection, so that a changed one needs no restart.
	if c.PasswordFile != "" {
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			p, err := s.passwords.Read(c.PasswordFile)
			return c.User, p, err
		}
	}
	if c.TLS {
		if o.TLSConfig, err = tlsOf(c); err != nil {
			return nil, err
		}
	}
	o.Dialer = dial(o.TLSConfig)
	s.c = redis.NewUniversalClient(o)
	return s, nil
}

func tlsOf(c Server) (*tls.Config, error) {
	roots, err := credential.Roots(c.CAFile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "redis "+c.Name)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// node is one server behind a target. Its name is "" where there is only one.
type node struct {
	name string
	c    *redis.Client
}

// nodes are the server, or the masters of the cluster by their addresses.
func (s *server) nodes(ctx context.Context) ([]node, error) {
	cluster, ok := s.c.(*redis.ClusterClient)
	if !ok {
		one, ok := s.c.(*redis.Client)
		if !ok {
			return nil, fault.New(fault.Internal, "redis %s: a client of type %T", s.Name, s.c)
		}
		return []node{{c: one}}, nil
	}
	var mu sync.Mutex
	var out []node
	err := cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		out = append(out, node{c.Options().Addr, c})
		return nil
	})
	slices.SortFunc(out, func(a, b node) int { return strings.Compare(a.name, b.name) })
	return out, err
}

// node finds one by its name.
func (s *server) node(ctx context.Context, name string) (node, bool, error) {
	all, err := s.nodes(ctx)
	i := slices.IndexFunc(all, func(n node) bool { return n.name == name })
	if err != nil || i < 0 {
		return node{}, false, err
	}
	return all[i], true, nil
}

// keeper is the node that has a key.
func (s *server) keeper(ctx context.Context, key string) (node, error) {
	if cluster, ok := s.c.(*redis.ClusterClient); ok {
		c, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return node{}, err
		}
		return node{c.Options().Addr, c}, nil
	}
	all, err := s.nodes(ctx)
	if err != nil {
		return node{}, err
	}
	return all[0], nil
}

// fenceName is the name that a connection bears while it works for an action.
func fenceName(action string) string {
	sum := sha256.Sum256([]byte(action))
	return fencePrefix + hex.EncodeToString(sum[:16])
}

const fencePrefix = "palmops-"

// held runs fn on one connection that bears the action's name: who has to find out what became of the action can end it, and with
// it what it has under way.
func (n node) held(ctx context.Context, action string, fn func(*redis.Conn) error) error {
	conn := n.c.Conn()
	defer conn.Close()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := conn.ClientSetName(ctx, fenceName(action)).Err(); err != nil {
		return err
	}
	err := fn(conn)
	if replied(err) { // it goes back to the pool
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
		defer cancel()
		_ = conn.Do(own, "CLIENT", "SETNAME", "").Err() // a name that stays is only a name
	}
	return err
}

// replied reports whether the server has answered, so that nothing is under way any more.
func replied(err error) bool { return err == nil || serverText(err) != "" }

// fence ends the connections that work for an action. An owner that has none yet has to prove afterwards that it still owns
// the action.
func (n node) fence(ctx context.Context, action string) error {
	for name := fenceName(action); ; {
		all, _, err := n.list(ctx, "")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(c client) bool { return c.Name == name })
		if i < 0 {
			return nil
		}
		if err := n.c.ClientKillByFilter(ctx, "ID", strconv.FormatUint(all[i].ID, 10)).Err(); err != nil {
			return err
		}
	}
}
