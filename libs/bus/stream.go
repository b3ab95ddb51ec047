package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

// How long the truth about an action is kept at least, and an output too large for a message.
const (
	ActionsKept = 120 * 24 * time.Hour
	OutputsKept = 7 * 24 * time.Hour
)

// declareTry bounds one try of Declare. What it made until then is made, so that the next try comes further.
const declareTry = 5 * time.Second

// streams says what each stream keeps. IN keeps what was acknowledged: a work queue forgets the ids of such
// messages at a restart of the server and would take a replayed callback for a new one.
func streams(replicas int) []jetstream.StreamConfig {
	file := jetstream.FileStorage
	return []jetstream.StreamConfig{
		{
			Name: wire.StreamIn, Subjects: []string{"in.>"}, Storage: file, Replicas: replicas,
			Retention: jetstream.LimitsPolicy, MaxAge: 72 * time.Hour, Duplicates: 30 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamAct, Subjects: []string{"act.>"}, Storage: file, Replicas: replicas,
			Retention: jetstream.WorkQueuePolicy, MaxAge: 24 * time.Hour, Duplicates: 30 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamRes, Subjects: []string{"res.>"}, Storage: file, Replicas: replicas,
			Retention: jetstream.LimitsPolicy, MaxAge: 7 * 24 * time.Hour, Duplicates: 30 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamOut, Subjects: []string{"out.>"}, Storage: file, Replicas: replicas,
			Retention: jetstream.WorkQueuePolicy, MaxAge: 72 * time.Hour, Duplicates: 30 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamAudit, Subjects: []string{"audit.>"}, Storage: file, Replicas: replicas,
			Retention: jetstream.LimitsPolicy, Duplicates: 2 * time.Minute, DenyDelete: true, DenyPurge: true, AllowDirect: true,
		},
		{
			Name: wire.StreamAdv, Subjects: []string{"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"},
			Storage: file, Replicas: replicas, Retention: jetstream.LimitsPolicy, MaxAge: 7 * 24 * time.Hour, MaxBytes: 64 << 20, Discard: jetstream.DiscardOld,
		},
	}
}

// buckets says what each key-value bucket keeps. What waits for a person has no time to live: whoever put it there ends it.
func buckets(replicas int) []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{
			Bucket: wire.BucketActions, Description: "the truth about every action", History: 16,
			TTL: ActionsKept, Storage: jetstream.FileStorage, Replicas: replicas,
		},
		{
			Bucket: wire.BucketRequests, Description: "what waits for a person", History: 1,
			Storage: jetstream.FileStorage, Replicas: replicas,
		},
	}
}

// Declare makes every stream, bucket and object store, or brings it to its present form. It may be called by every service at
// every start, in any order, and waits until ctx ends for a server that is still coming up. Replicas is 1 on a single server,
// 3 in a cluster. Errors: Transient, the server did not answer in time; Internal, it refuses a form.
func (b *Bus) Declare(ctx context.Context, replicas int) error {
	for {
		// A question that a server takes just before it goes, or before its JetStream is there, is never answered.
		try, cancel := context.WithTimeout(ctx, declareTry)
		err := b.declare(try, replicas)
		cancel()
		if err == nil {
			return nil
		}
		if refused(err) {
			return fault.Wrap(fault.Internal, err, "refused")
		}
		if pause(ctx, 200*time.Millisecond); ctx.Err() != nil {
			return err
		}
	}
}

// refused reports whether the server will not have a form, today or later: it calls some such answers its own failure.
func refused(err error) bool {
	const invalidStream, noReplicas jetstream.ErrorCode = 10052, 10074
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.Code >= 400 && api.Code < 500 || api.ErrorCode == invalidStream || api.ErrorCode == noReplicas)
}

func (b *Bus) declare(ctx context.Context, replicas int) error {
	for _, cfg := range streams(replicas) {
		// Creating a stream that is there in the same form changes nothing; an update would disturb consumers being made.
		_, err := b.JS.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			_, err = b.JS.UpdateStream(ctx, cfg)
		}
		if err != nil {
			return fault.Wrap(fault.Transient, err, "declare stream "+cfg.Name)
		}
	}
	for _, cfg := range buckets(replicas) {
		_, err := b.JS.CreateKeyValue(ctx, cfg)
		if errors.Is(err, jetstream.ErrBucketExists) {
			_, err = b.JS.UpdateKeyValue(ctx, cfg)
		}
		if err != nil {
			return fault.Wrap(fault.Transient, err, "declare bucket "+cfg.Bucket)
		}
	}
	outputs := jetstream.ObjectStoreConfig{
		Bucket: wire.BucketOutputs, Description: "outputs too large for a message", TTL: OutputsKept, Storage: jetstream.FileStorage, Replicas: replicas,
	}
	_, err := b.JS.CreateObjectStore(ctx, outputs)
	if errors.Is(err, jetstream.ErrBucketExists) {
		_, err = b.JS.UpdateObjectStore(ctx, outputs)
	}
	return fault.Wrap(fault.Transient, err, "declare object store "+wire.BucketOutputs)
}

// Stored reads one message of a stream by its place.
func (b *Bus) Stored(ctx context.Context, stream string, seq uint64) ([]byte, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "stream "+stream)
	}
	msg, err := s.GetMsg(ctx, seq)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, fmt.Sprintf("message %d of %s", seq, stream))
	}
	return msg.Data, nil
}
