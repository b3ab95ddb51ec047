package bus_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/wire"
)

// Everything is there after any number of declarations, in the declared form also when it was there in another.
func TestDeclareMakesBucketsAndTheObjectStore(t *testing.T) {
	srv := bustest.New(t)
	ctx := within(t)
	bare, err := bus.Connect(ctx, bus.Options{URL: srv.URL(), Name: "first"})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if _, err := bare.JS.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: wire.BucketRequests, History: 5, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := bare.JS.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: wire.BucketOutputs, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := bare.Declare(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	for bucket, want := range map[string]struct {
		history int64
		ttl     time.Duration
	}{wire.BucketActions: {16, bus.ActionsKept}, wire.BucketRequests: {1, 0}} {
		kv, err := bare.JS.KeyValue(ctx, bucket)
		if err != nil {
			t.Fatal(err)
		}
		s, err := kv.Status(ctx)
		if err != nil || s.History() != want.history || s.TTL() != want.ttl {
			t.Errorf("%s: history %d, time to live %s, %v", bucket, s.History(), s.TTL(), err)
		}
	}
	store, err := bare.JS.ObjectStore(ctx, wire.BucketOutputs)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Status(ctx)
	if err != nil || s.TTL() != 7*24*time.Hour || s.Storage() != jetstream.FileStorage {
		t.Errorf("%+v %v", s, err)
	}
	long := bytes.Repeat([]byte("一行\n"), 1<<18) // several chunks
	if _, err := store.PutBytes(ctx, "o", long); err != nil {
		t.Fatal(err)
	}
	if got, err := store.GetBytes(ctx, "o"); err != nil || !bytes.Equal(got, long) {
		t.Errorf("%d bytes of %d, %v", len(got), len(long), err)
	}
}
