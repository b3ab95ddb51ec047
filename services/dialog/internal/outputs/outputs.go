// Package outputs keeps what actions put out, when it is too long for a message, in the object store OUTPUTS: one object for
// each action, "out.<action id>", for 7 days.
package outputs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
)

// Most is how much of an output is read at once, in bytes. An event on RES cannot hold more, so that nothing longer is stored.
const Most = 1 << 20

// Store is safe for concurrent use.
type Store struct{ objects jetstream.ObjectStore }

// New makes a Store on the object store OUTPUTS.
func New(objects jetstream.ObjectStore) *Store { return &Store{objects: objects} }

// Name is the name of the object that holds an action's output.
func Name(action string) string { return "out." + action }

// Put stores an output. Storing the same again changes nothing. Errors: Invalid, longer than Most; Transient.
func (s *Store) Put(ctx context.Context, action, text string) error {
	if len(text) > Most {
		return fault.New(fault.Invalid, "output of %s: %d bytes, the limit is %d", action, len(text), Most)
	}
	info, err := s.info(ctx, action)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(text))
	if info != nil && info.Digest == "SHA-256="+base64.URLEncoding.EncodeToString(sum[:]) {
		return nil
	}
	_, err = s.objects.PutString(ctx, Name(action), text)
	return fault.Wrap(fault.Transient, err, "store output of "+action)
}

// Get reads an output whole. Errors: NotFound, there is none, or none any more; Transient.
func (s *Store) Get(ctx context.Context, action string) (string, error) {
	obj, err := s.objects.Get(ctx, Name(action))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return "", fault.New(fault.NotFound, "no output of %s is kept", action)
	}
	if err != nil {
		return "", fault.Wrap(fault.Transient, err, "output of "+action)
	}
	defer func() { _ = obj.Close() }() // what was read has been checked by then
	data, err := io.ReadAll(io.LimitReader(obj, Most+1))
	if err != nil {
		return "", fault.Wrap(fault.Transient, err, "output of "+action)
	}
	if len(data) > Most {
		return "", fmt.Errorf("output of %s: more than %d bytes", action, Most)
	}
	return string(data), nil
}

// Size is how long an output is, in bytes; 0 when none is kept. Errors: Transient.
func (s *Store) Size(ctx context.Context, action string) (int, error) {
	info, err := s.info(ctx, action)
	if info == nil || err != nil {
		return 0, err
	}
	return int(info.Size), nil
}

// info is nil without an error when there is no such object.
func (s *Store) info(ctx context.Context, action string) (*jetstream.ObjectInfo, error) {
	info, err := s.objects.GetInfo(ctx, Name(action))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, nil
	}
	return info, fault.Wrap(fault.Transient, err, "output of "+action)
}
