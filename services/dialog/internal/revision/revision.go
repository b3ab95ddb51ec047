// Package revision keeps, in the bucket REQUESTS, the menus and policies that counted last, and which pair counts now.
//
//	menu.rev.<rev>    the files of one menu, deflated JSON
//	policy.rev.<rev>  the file of one policy
//	rules.now         JSON of Now: moved by compare-and-set, watched by every dialog
//
// A revision is named by its content, so that storing it twice is nothing, and never changes.
package revision

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/services/dialog/menu"
)

// Kinds of revisions.
const (
	Menu   = "menu"
	Policy = "policy"
)

// Limits of the store.
const (
	// MaxStored is what one revision may take deflated, in bytes: a message of NATS holds 1 MiB.
	MaxStored = 1_000_000
	// Kept is how many revisions of each kind stay; those that count now are never dropped.
	Kept = 100
)

const now = "rules.now"

// Bundle is the files of a revision.
type Bundle struct {
	Root  string     `json:"root"` // name of the root file among Files
	Files menu.Files `json:"files"`
	At    int64      `json:"at"` // when it was stored first, Unix milliseconds
	By    string     `json:"by"` // who stored it: a dialog's instance
}

// Now says which pair counts.
type Now struct {
	Menu   string `json:"menu"`
	Policy string `json:"policy"`
	At     int64  `json:"at"` // since when, Unix milliseconds
	By     string `json:"by"` // who said so: a dialog's instance, or a person at the command line
	Why    string `json:"why"`
	Rev    uint64 `json:"-"` // of the entry in the bucket; 0 when there is none yet
}

// Entry is one revision in a list.
type Entry struct {
	Kind, Rev string
	At        time.Time // when it was stored
	By        string
	Bytes     int // of its files
	Current   bool
}

// Store is safe for concurrent use.
type Store struct{ kv jetstream.KeyValue }

// New makes a store on the bucket REQUESTS.
func New(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

// Now reads which pair counts; ok is false when none does yet.
func (s *Store) Now(ctx context.Context) (n Now, ok bool, err error) {
	e, err := s.kv.Get(ctx, now)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Now{}, false, nil
	}
	if err != nil {
		return Now{}, false, fault.Wrap(fault.Transient, err, "read "+now)
	}
	n, err = decodeNow(e)
	return n, err == nil, err
}

func decodeNow(e jetstream.KeyValueEntry) (Now, error) {
	var n Now
	if err := json.Unmarshal(e.Value(), &n); err != nil {
		return Now{}, fault.Wrap(fault.Internal, err, "read "+now)
	}
	n.Rev = e.Revision()
	return n, nil
}

// Set makes a pair count, if nobody else has since n.Rev: else the error is a Conflict. It returns n with its new Rev.
func (s *Store) Set(ctx context.Context, n Now) (Now, error) {
	raw, err := json.Marshal(n)
	if err != nil {
		return Now{}, fault.Wrap(fault.Internal, err, "write "+now)
	}
	var rev uint64
	if n.Rev == 0 {
		rev, err = s.kv.Create(ctx, now, raw)
	} else {
		rev, err = s.kv.Update(ctx, now, raw, n.Rev)
	}
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return Now{}, fault.Wrap(fault.Conflict, err, "write "+now)
	case err != nil:
		return Now{}, fault.Wrap(fault.Transient, err, "write "+now)
	}
	n.Rev = rev
	return n, nil
}

// Put stores a revision; one that is there stays as it is. Errors: Invalid when it is larger than MaxStored.
func (s *Store) Put(ctx context.Context, kind, rev string, b Bundle) error {
	if _, err := s.kv.Get(ctx, key(kind, rev)); err == nil {
		return nil
	}
	raw, err := encode(b)
	if err != nil {
		return err
	}
	_, err = s.kv.Create(ctx, key(kind, rev), raw)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	return fault.Wrap(fault.Transient, err, "store "+kind+" "+rev)
}

// Get reads a revision; nil when it is not there.
func (s *Store) Get(ctx context.Context, kind, rev string) (*Bundle, error) {
	e, err := s.kv.Get(ctx, key(kind, rev))
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "read "+kind+" "+rev)
	}
	return decode(e.Value())
}

// List gives the revisions of a kind, the newest first.
func (s *Store) List(ctx context.Context, kind string) ([]Entry, error) {
	cur, _, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.keys(ctx, kind)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, k := range keys {
		e, err := s.kv.Get(ctx, k)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // pruned meanwhile
		}
		if err != nil {
			return nil, fault.Wrap(fault.Transient, err, "read "+k)
		}
		b, err := decode(e.Value())
		if err != nil {
			return nil, err
		}
		rev := strings.TrimPrefix(k, kind+".rev.")
		entry := Entry{Kind: kind, Rev: rev, At: e.Created(), By: b.By, Current: rev == cur.Menu && kind == Menu || rev == cur.Policy && kind == Policy}
		for _, f := range b.Files {
			entry.Bytes += len(f)
		}
		out = append(out, entry)
	}
	slices.SortFunc(out, func(a, b Entry) int { return b.At.Compare(a.At) })
	return out, nil
}

func (s *Store) keys(ctx context.Context, kind string) ([]string, error) {
	l, err := s.kv.ListKeysFiltered(ctx, kind+".rev.*")
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "list "+kind)
	}
	var keys []string
	for k := range l.Keys() {
		keys = append(keys, k)
	}
	return keys, nil
}

// Prune drops all but the newest Kept revisions of each kind. While there are no more it only counts them.
func (s *Store) Prune(ctx context.Context) error {
	for _, kind := range []string{Menu, Policy} {
		keys, err := s.keys(ctx, kind)
		if err != nil {
			return err
		}
		if len(keys) <= Kept {
			continue
		}
		list, err := s.List(ctx, kind)
		if err != nil {
			return err
		}
		for i, e := range list {
			if i < Kept || e.Current {
				continue
			}
			if err := s.kv.Purge(ctx, key(kind, e.Rev)); err != nil {
				return fault.Wrap(fault.Transient, err, "drop "+kind+" "+e.Rev)
			}
		}
	}
	return nil
}

// Watch calls changed with what counts, now and at every change, until ctx ends or the watch breaks.
func (s *Store) Watch(ctx context.Context, changed func(Now)) error {
	w, err := s.kv.Watch(ctx, now, jetstream.IgnoreDeletes())
	if err != nil {
		return fault.Wrap(fault.Transient, err, "watch "+now)
	}
	defer func() { _ = w.Stop() }() // fails only when the connection is gone, and the watch with it
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return fault.New(fault.Transient, "the watch of %s ended", now)
			}
			if e == nil {
				continue // all that was there has been told
			}
			n, err := decodeNow(e)
			if err != nil {
				return err
			}
			changed(n)
		}
	}
}

func key(kind, rev string) string { return kind + ".rev." + rev }

func encode(b Bundle) ([]byte, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encode a revision")
	}
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.DefaultCompression) // the level is valid
	_, werr := w.Write(raw)
	if err := errors.Join(werr, w.Close()); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encode a revision")
	}
	if out.Len() > MaxStored {
		return nil, fault.New(fault.Invalid, "the files take %d bytes compressed, the limit is %d", out.Len(), MaxStored)
	}
	return out.Bytes(), nil
}

func decode(raw []byte) (*Bundle, error) {
	// Base64 and JSON make a third more of the files' bytes; whatever is larger was not written by encode.
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), 2*menu.MaxTotal))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read a revision")
	}
	var b Bundle
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read a revision")
	}
	return &b, nil
}
