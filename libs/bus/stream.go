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

// ActionsKept is how long the truth about an action is kept at least.
const ActionsKept = 120 * 24 * time.Hour

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

// Declare makes every stream and bucket, or brings it to its present form. It may be called by every service at
// every start, in any order. Replicas is 1 on a single server, 3 in a cluster.
func (b *Bus) Declare(ctx context.Context, replicas int) error {
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
	bucket := jetstream.KeyValueConfig{
		Bucket: wire.BucketActions, Description: "the truth about every action", History: 16,
		TTL: ActionsKept, Storage: jetstream.FileStorage, Replicas: replicas,
	}
	_, err := b.JS.CreateKeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketExists) {
		_, err = b.JS.UpdateKeyValue(ctx, bucket)
	}
	return fault.Wrap(fault.Transient, err, "declare bucket "+wire.BucketActions)
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
