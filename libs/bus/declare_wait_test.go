package bus_test

import (
	"context"
	"testing"

	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

// Services start in any order: a server that is away is waited for, as long as the context lasts.
func TestDeclareWaitsForTheServer(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("early")
	ctx := within(t)
	for _, name := range []string{wire.StreamIn, wire.StreamOut} {
		if err := b.JS.DeleteStream(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	port := srv.Port()
	srv.Stop()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Declare(gone, 1); !fault.Is(err, fault.Transient) {
		t.Errorf("without a server: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Declare(ctx, 1) }()
	srv.Start(port)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := b.JS.Stream(ctx, wire.StreamIn); err != nil {
		t.Error(err)
	}
}

func TestDeclareDoesNotWaitForWhatIsRefused(t *testing.T) {
	b := bustest.New(t).Connect("d")
	for _, replicas := range []int{3, 9} {
		if err := b.Declare(within(t), replicas); !fault.Is(err, fault.Internal) {
			t.Errorf("%d replicas on one server: %v", replicas, err)
		}
	}
}
