// Package outputs keeps what actions put out, when it is too long for a message, in the object store OUTPUTS: one object for
// each action, "out.<action id>", for 7 days. An executor that stores a whole output itself uses the same name.
package outputs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

// Most is how much is stored here at most, in bytes. An event on RES cannot hold more.
const Most = 1 << 20

// Store is safe for concurrent use.
type Store struct {
	objects jetstream.ObjectStore
	chunks  jetstream.Stream // below it
}

// New makes a Store on the object store OUTPUTS. Errors: Transient.
func New(ctx context.Context, js jetstream.JetStream) (*Store, error) {
	objects, err := js.ObjectStore(ctx, wire.BucketOutputs)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "object store "+wire.BucketOutputs)
	}
	chunks, err := js.Stream(ctx, "OBJ_"+wire.BucketOutputs)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "stream of the object store "+wire.BucketOutputs)
	}
	return &Store{objects: objects, chunks: chunks}, nil
}

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
