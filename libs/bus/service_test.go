package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"palmops/libs/bus/bustest"
)

func TestFind(t *testing.T) {
	srv := bustest.New(t)
	asks := srv.Connect("asks")
	if found, err := asks.Find(t.Context(), "nobody", time.Minute, time.Second); err != nil || found != nil {
		t.Errorf("%v %v", found, err) // known at once, not after a minute
	}
	for _, pool := range []string{"a", "b"} {
		b := srv.Connect(pool)
		s, err := micro.AddService(b.NC, micro.Config{Name: "palmops-executor", Version: "1.2.3", Metadata: map[string]string{"pool": pool}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Stop() })
		if err := b.NC.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	found, err := asks.Find(t.Context(), "palmops-executor", time.Minute, 2*time.Second)
	if err != nil || len(found) != 2 || found[0].Version != "1.2.3" || found[0].Metadata["pool"] == found[1].Metadata["pool"] || found[0].ID > found[1].ID {
		t.Errorf("%+v %v", found, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := asks.Find(ended, "palmops-executor", time.Minute, time.Second); err == nil {
		t.Errorf("%+v without waiting", found)
	}
	// Without a server nobody can say that there is nobody.
	srv.Stop()
	if found, err := asks.Find(t.Context(), "palmops-executor", 2*time.Second, time.Second); err == nil {
		t.Errorf("%+v without a server", found)
	}
}
