package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

// errMoved says that the compare-and-set was lost: somebody else wrote in between.
var errMoved = errors.New("the record has moved on")

// opTimeout bounds one read or write of the bucket.
const opTimeout = 2 * time.Second

// store is the bucket ACTIONS.
type store struct{ kv jetstream.KeyValue }

// get reads a record and its revision; nil when there is none. In a cluster a follower may answer with an older state: what is
// read is a guess, and only a write decides.
func (s store) get(ctx context.Context, id string) (*wire.Record, uint64, error) {
	var rec wire.Record
	rev, err := s.read(ctx, id, &rec)
	if err != nil || rev == 0 {
		return nil, 0, err
	}
	return &rec, rev, nil
}

// put writes a record over a revision, 0 for one that must not exist. Errors: errMoved; Transient, in which case it may have
// been written nevertheless.
func (s store) put(ctx context.Context, rec *wire.Record, rev uint64) (uint64, error) {
	return s.write(ctx, rec.ID, rec, rev)
}

func (s store) read(ctx context.Context, key string, v any) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	e, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return 0, nil
	}
	if err != nil {
		return 0, fault.Wrap(fault.Transient, err, "read "+key)
	}
	if err := json.Unmarshal(e.Value(), v); err != nil {
		return 0, fault.Wrap(fault.Internal, err, "record "+key)
	}
	return e.Revision(), nil
}

// write is a compare-and-set. Where the answer to an earlier try was lost, the record is found to be the one that was to be
// written: that counts as written, since what one executor writes no other one does.
func (s store) write(ctx context.Context, key string, v any, rev uint64) (uint64, error) {
	data, err := encode(v)
	if err != nil {
		return 0, fault.Wrap(fault.Internal, err, "record "+key)
	}
	next, err := s.once(ctx, key, data, rev)
	if !errors.Is(err, errMoved) {
		return next, err
	}
	gctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if e, gerr := s.kv.Get(gctx, key); gerr == nil && e.Revision() > rev && bytes.Equal(e.Value(), data) {
		return e.Revision(), nil
	}
	return 0, err
}

func (s store) once(ctx context.Context, key string, data []byte, rev uint64) (next uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if rev == 0 {
		next, err = s.kv.Create(ctx, key, data)
	} else {
		next, err = s.kv.Update(ctx, key, data, rev)
	}
	var api *jetstream.APIError
	switch {
	case err == nil:
		return next, nil
	case errors.Is(err, jetstream.ErrKeyExists), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return 0, errMoved
	}
	return 0, fault.Wrap(fault.Transient, err, "write "+key)
}

// encode writes JSON that leaves the arguments inside a record in their canonical form: nothing is escaped for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
