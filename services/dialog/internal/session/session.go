// Package session keeps, in Redis, where each person stands in the menu, how far their messages have been worked on, and
// what was answered to the last ones.
//
// Keys, with {corp:app:user} so that one script finds all of a person's keys on one node of a cluster:
//
//	palmops:{corp:app:user}:session      hash: path rev state ver; expires with the session
//	palmops:{corp:app:user}:last         hash: stream seq sent_at; how far the messages have been worked on
//	palmops:{corp:app:user}:reply:<id>   what was answered to message <id>
//	palmops:{corp:app:user}:person       what the directory said about the person
//	palmops:{corp:app:user}:told:<what>  a notice that has been sent
//
// Redis is never the truth about an action: losing it costs a walk from the top of the menu. Commands are those of
// Redis 7.0 and before.
package session

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"palmops/libs/fault"
)

// How long what outlives a session is kept.
const (
	ReplyKept = 10 * time.Minute
	LastKept  = time.Hour
)

// Timeout bounds each command: a Redis that does not answer must not use up the time in which WeCom wants its answer.
const Timeout = 250 * time.Millisecond

// Options are the client options for a Redis URL: no blind retries, contexts obeyed, Timeout everywhere. The error,
// of the kind Invalid, does not quote the URL, which may hold a password.
func Options(url string) (*redis.Options, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the Redis URL is not of the form redis://host:port/number")
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = Timeout, Timeout, Timeout, Timeout
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.PoolSize = 64
	o.DisableIdentity = true // two commands fewer for each new connection
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// Who names a person: a corp, one of its apps, and the user id, which is compared without case.
type Who struct{ Corp, App, User string }

// key is the beginning of all keys of a person. Signs that would move the hash tag or the fields are written %XX.
func (w Who) key() string {
	esc := func(s string) string {
		if !strings.ContainsAny(s, "{}:%") {
			return s
		}
		return strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", ":", "%3A").Replace(s)
	}
	return "palmops:{" + esc(w.Corp) + ":" + esc(w.App) + ":" + esc(strings.ToLower(w.User)) + "}:"
}

// Store is the one place that speaks Redis. It is safe for concurrent use.
type Store struct{ rdb redis.UniversalClient }

// New makes a store on a client, which stays the caller's.
func New(rdb redis.UniversalClient) *Store { return &Store{rdb: rdb} }

//go:embed load.lua
var loadLua string

//go:embed commit.lua
var commitLua string

var (
	loadScript   = redis.NewScript(loadLua)
	commitScript = redis.NewScript(commitLua)
)

// Loaded is what Redis knows when a message arrives.
type Loaded struct {
	Now    time.Time // Redis' own clock
	State  []byte    // the session as Commit got it, nil for none
	Ver    string    // for Commit
	SentAt int64     // of the newest message worked on, Unix seconds
	Reply  []byte    // the reply to this message, nil when there is none
	Behind bool      // a later message of the stream has been worked on already
}

// Load reads a person's session, and the reply to message id. Place is where the message lies in the stream.
func (s *Store) Load(ctx context.Context, w Who, id string, place Place) (Loaded, error) {
	k := w.key()
	out, err := loadScript.Run(ctx, s.rdb, []string{k + "session", k + "last", k + "reply:" + id}, place.Stream, place.Seq).Slice()
	if err != nil {
		return Loaded{}, transient(err, "load session")
	}
	if len(out) != 6 {
		return Loaded{}, fault.New(fault.Internal, "load session: %d values", len(out))
	}
	micros, _ := strconv.ParseInt(str(out[0]), 10, 64)
	sent, _ := strconv.ParseInt(str(out[3]), 10, 64)
	l := Loaded{Now: time.UnixMicro(micros), Ver: str(out[2]), SentAt: sent, Behind: str(out[5]) == "1"}
	if st := str(out[1]); st != "" {
		l.State = []byte(st)
	}
	if r := str(out[4]); r != "" {
		l.Reply = []byte(r)
	}
	return l, nil
}

// Place is a message's place in its stream. Stream names the stream's life: a stream that was made anew counts from 1 again.
type Place struct {
	Stream string
	Seq    uint64
}

func (p Place) ver() string { return p.Stream + "/" + strconv.FormatUint(p.Seq, 10) }

// Commit is one step to store.
type Commit struct {
	Who     Who
	ID      string // of the message
	Place   Place
	Ver     string    // as loaded; the step is refused when the session has moved since
	By      time.Time // by Redis' clock; later the step is refused: its author has given up on it
	SentAt  int64
	State   []byte // nil: no session from now on
	Path    string
	Rev     string
	Timeout time.Duration
	Fixed   bool // count the timeout from the session's first message
	Reply   []byte
}

// Outcome is what became of a commit.
type Outcome string

// The outcomes.
const (
	Stored Outcome = "stored"
	Before Outcome = "before" // the message was worked on before; the stored reply comes back, if it is still kept
	Moved  Outcome = "moved"  // the session is not what was loaded: load again
	TooOld Outcome = "late"   // past By
)

// Commit stores a step whole or not at all. On an error of the kind Unknown it may have been stored, but not after By.
func (s *Store) Commit(ctx context.Context, c Commit) (Outcome, []byte, error) {
	k := c.Who.key()
	fixed, gone := "0", "0"
	if c.Fixed {
		fixed = "1"
	}
	if c.State == nil {
		gone = "1"
	}
	out, err := commitScript.Run(ctx, s.rdb, []string{k + "session", k + "last", k + "reply:" + c.ID},
		c.By.UnixMicro(), c.Place.Stream, c.Place.Seq, c.Ver, c.Place.ver(), c.SentAt, gone, c.State, c.Path, c.Rev,
		max(c.Timeout.Milliseconds(), 1), fixed, c.Reply, ReplyKept.Milliseconds(), LastKept.Milliseconds()).Slice()
	if err != nil {
		return "", nil, fault.Wrap(fault.Unknown, err, "commit session")
	}
	if len(out) != 2 {
		return "", nil, fault.New(fault.Internal, "commit session: %d values", len(out))
	}
	var reply []byte
	if r := str(out[1]); r != "" {
		reply = []byte(r)
	}
	return Outcome(str(out[0])), reply, nil
}

// Reply reads the reply to a message, nil when there is none.
func (s *Store) Reply(ctx context.Context, w Who, id string) ([]byte, error) {
	return s.get(ctx, w.key()+"reply:"+id)
}

// SetReply replaces the reply to a message; nothing happens when it is not kept any more.
func (s *Store) SetReply(ctx context.Context, w Who, id string, reply []byte) error {
	err := s.rdb.SetArgs(ctx, w.key()+"reply:"+id, reply, redis.SetArgs{Mode: "XX", KeepTTL: true}).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return transient(err, "set reply")
	}
	return nil
}

// Person reads what SetPerson stored, nil when there is nothing.
func (s *Store) Person(ctx context.Context, w Who) ([]byte, error) {
	return s.get(ctx, w.key()+"person")
}

// SetPerson stores what the directory said about a person.
func (s *Store) SetPerson(ctx context.Context, w Who, person []byte, kept time.Duration) error {
	return transient(s.rdb.Set(ctx, w.key()+"person", person, kept).Err(), "set person")
}

// Told reports whether a notice has been sent.
func (s *Store) Told(ctx context.Context, w Who, what string) (bool, error) {
	v, err := s.get(ctx, w.key()+"told:"+what)
	return v != nil, err
}

// SetTold remembers that a notice has been sent.
func (s *Store) SetTold(ctx context.Context, w Who, what string, kept time.Duration) error {
	return transient(s.rdb.Set(ctx, w.key()+"told:"+what, "1", kept).Err(), "set told")
}

// Ready reports whether Redis answers.
func (s *Store) Ready(ctx context.Context) error {
	return transient(s.rdb.Ping(ctx).Err(), "redis")
}

func (s *Store) get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.rdb.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return v, transient(err, "redis")
}

func transient(err error, context string) error { return fault.Wrap(fault.Transient, err, context) }

func str(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	default:
		return fmt.Sprint(x)
	}
}
