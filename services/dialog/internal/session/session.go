// Package session keeps, in Redis, where each person stands in the menu, how far their messages have been worked on, and
// what was answered to the last ones.
//
// Keys, with {corp:app:user} so that one script finds all of a person's keys on one node of a cluster:
//
//	palmops:{corp:app:user}:session      hash: path rev; there is a session as long as this key lives
//	palmops:{corp:app:user}:last         what is kept of the newest message: place, id, session, reply, person
//	palmops:{corp:app:user}:before       the reply to the message before it, for as long as WeCom may deliver that again
//	palmops:{corp:app:user}:memo         what is remembered of the person for longer than a session
//	palmops:{corp:app:user}:told:<what>  a notice that has been sent
//
// Everything of one step is packed into one text with a common dictionary: an open session takes less than 1,000 bytes
// of Redis, keys and all. Redis is never the truth about an action: losing it costs a walk from the top of the menu.
// Commands are those of Redis 7.0 and before.
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
	// LastKept is for what is kept of the newest message. It may still lack its order, or come again after a crash.
	LastKept = time.Hour
	// BeforeKept is for the reply to the message before it: WeCom delivers a message three times within 15 s.
	BeforeKept = 20 * time.Second
	// MemoKept counts from a person's last message.
	MemoKept = 90 * 24 * time.Hour
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

// keys are those of a person that scripts work on.
type keys struct{ session, last, before, memo string }

func (w Who) keys() keys {
	k := w.key()
	return keys{k + "session", k + "last", k + "before", k + "memo"}
}

func (k keys) all() []string { return []string{k.session, k.last, k.before, k.memo} }

// Store is the one place that speaks Redis. It is safe for concurrent use.
type Store struct{ rdb redis.UniversalClient }

// New makes a store on a client, which stays the caller's.
func New(rdb redis.UniversalClient) *Store { return &Store{rdb: rdb} }

//go:embed load.lua
var loadLua string

//go:embed commit.lua
var commitLua string

//go:embed mark.lua
var markLua string

var (
	loadScript   = redis.NewScript(loadLua)
	commitScript = redis.NewScript(commitLua)
	markScript   = redis.NewScript(markLua)
)

// Loaded is what Redis knows when a message arrives.
type Loaded struct {
	Now    time.Time // Redis' own clock
	State  []byte    // the session as Commit got it, nil for none
	SentAt int64     // of the newest message worked on, Unix seconds
	Reply  []byte    // the reply to this message, nil when there is none
	Marks  string    // of that reply
	Behind bool      // a later message of the stream has been worked on already
	Person []byte    // as the newest Commit got it
	Memo   []byte    // as some Commit got it, nil for none

	open bool // there was a session
	last kept
}

// Load reads a person's session, and the reply to message id. Place is where the message lies in the stream. What cannot
// be read, such as what another version of this program has packed, counts as not there.
func (s *Store) Load(ctx context.Context, w Who, id string, place Place) (Loaded, error) {
	k := w.keys()
	out, err := loadScript.Run(ctx, s.rdb, k.all()).Slice()
	if err != nil {
		return Loaded{}, transient(err, "load session")
	}
	if len(out) != 5 {
		return Loaded{}, fault.New(fault.Internal, "load session: %d values", len(out))
	}
	micros, _ := strconv.ParseInt(str(out[0]), 10, 64)
	l := Loaded{Now: time.UnixMicro(micros), open: str(out[1]) == "1"}
	l.last, _ = decodeKept(str(out[2]))
	if l.open {
		l.State = l.last.state
	}
	l.SentAt, l.Person, l.Behind = l.last.sentAt, l.last.person, place.reached(l.last.place)
	found := l.last
	if found.id != id {
		found, _ = decodeKept(str(out[3]))
	}
	if found.id == id {
		l.Reply, l.Marks = found.reply, found.marks
	}
	if memo, ok := unpack([]byte(str(out[4])), 1); ok {
		l.Memo = memo[0]
	}
	return l, nil
}

// Place is a message's place in its stream. Stream names the stream's life: a stream that was made anew counts from 1 again.
type Place struct {
	Stream string
	Seq    uint64
}

func (p Place) String() string { return p.Stream + "/" + strconv.FormatUint(p.Seq, 10) }

// reached reports whether last, a place as text, lies at p or behind it in the same stream.
func (p Place) reached(last string) bool {
	i := strings.LastIndexByte(last, '/')
	if i < 0 || last[:i] != p.Stream {
		return false
	}
	seq, err := strconv.ParseUint(last[i+1:], 10, 64)
	return err == nil && seq >= p.Seq
}

// Commit is one step to store.
type Commit struct {
	Who     Who
	ID      string // of the message; neither it nor Place.Stream may hold white space
	Place   Place
	From    Loaded    // what the step rests on; it is refused when that has changed since
	By      time.Time // by Redis' clock; later the step is refused: its author has given up on it
	SentAt  int64
	State   []byte // nil: no session from now on
	Path    string
	Rev     string
	Timeout time.Duration
	Fixed   bool // count the timeout from the session's first message
	Reply   []byte
	Person  []byte // what the next Load gives back
	Memo    []byte // nil: as it is
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

// Commit stores a step whole or not at all; with Before it returns the stored reply and its marks. On an error of the kind
// Unknown it may have been stored, but not after By. Invalid: the id or the stream holds white space.
func (s *Store) Commit(ctx context.Context, c Commit) (o Outcome, reply []byte, marks string, err error) {
	if c.ID == "" || strings.ContainsAny(c.ID+c.Place.Stream, " \t\r\n\v\f") {
		return "", nil, "", fault.New(fault.Invalid, "commit session: message id %q", c.ID)
	}
	flag := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	var memo, before []byte
	if c.Memo != nil {
		memo = pack(c.Memo)
	}
	if last := c.From.last; last.reply != nil {
		before = kept{place: last.place, id: last.id, marks: last.marks, reply: last.reply}.encode()
	}
	next := kept{place: c.Place.String(), id: c.ID, state: c.State, reply: c.Reply, person: c.Person, sentAt: c.SentAt}
	out, err := commitScript.Run(ctx, s.rdb, c.Who.keys().all(),
		c.By.UnixMicro(), next.place, c.ID, flag(c.From.open), c.From.last.place, next.encode(), before, memo, flag(c.State == nil), c.Path, c.Rev,
		max(c.Timeout.Milliseconds(), 1), flag(c.Fixed), max(LastKept, c.Timeout).Milliseconds(), BeforeKept.Milliseconds(), MemoKept.Milliseconds()).Slice()
	if err != nil {
		return "", nil, "", fault.Wrap(fault.Unknown, err, "commit session")
	}
	if len(out) != 2 {
		return "", nil, "", fault.New(fault.Internal, "commit session: %d values", len(out))
	}
	done, _ := decodeKept(str(out[1]))
	return Outcome(str(out[0])), done.reply, done.marks, nil
}

// Reply reads the reply to a message and its marks, nil when there is none.
func (s *Store) Reply(ctx context.Context, w Who, id string) (reply []byte, marks string, err error) {
	k, err := s.find(ctx, w, id)
	return k.reply, k.marks, err
}

// Mark replaces the marks of a reply, some letters that mean something to the caller; nothing happens when it is not kept
// any more.
func (s *Store) Mark(ctx context.Context, w Who, id, marks string) error {
	return s.mark(ctx, w, id, marks, nil)
}

// SetReply replaces the reply to a message and its marks; nothing happens when it is not kept any more.
func (s *Store) SetReply(ctx context.Context, w Who, id string, reply []byte, marks string) error {
	k, err := s.find(ctx, w, id)
	if err != nil || k.id == "" {
		return err
	}
	k.reply = reply
	return s.mark(ctx, w, id, marks, k.content())
}

func (s *Store) mark(ctx context.Context, w Who, id, marks string, content []byte) error {
	k := w.keys()
	return transient(markScript.Run(ctx, s.rdb, []string{k.last, k.before}, id, marks, content).Err(), "mark reply")
}

// Newest reads the reply to the newest message of a person and its marks, nil when there is none.
func (s *Store) Newest(ctx context.Context, w Who) (reply []byte, marks string, err error) {
	text, err := s.rdb.Get(ctx, w.keys().last).Result()
	if errors.Is(err, redis.Nil) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", transient(err, "newest reply")
	}
	k, whole := decodeKept(text)
	if !whole {
		return nil, "", nil
	}
	return k.reply, k.marks, nil
}

// find is what is kept of a message, the zero value when nothing is.
func (s *Store) find(ctx context.Context, w Who, id string) (kept, error) {
	k := w.keys()
	texts, err := s.rdb.MGet(ctx, k.last, k.before).Result()
	if err != nil {
		return kept{}, transient(err, "reply")
	}
	for _, text := range texts {
		if found, whole := decodeKept(str(text)); whole && found.id == id {
			return found, nil
		}
	}
	return kept{}, nil
}

// Told reports whether a notice has been sent.
func (s *Store) Told(ctx context.Context, w Who, what string) (bool, error) {
	n, err := s.rdb.Exists(ctx, w.key()+"told:"+what).Result()
	return n > 0, transient(err, "told")
}

// SetTold remembers that a notice has been sent.
func (s *Store) SetTold(ctx context.Context, w Who, what string, kept time.Duration) error {
	return transient(s.rdb.Set(ctx, w.key()+"told:"+what, "1", kept).Err(), "set told")
}

// Ready reports whether Redis answers.
func (s *Store) Ready(ctx context.Context) error {
	return transient(s.rdb.Ping(ctx).Err(), "redis")
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
