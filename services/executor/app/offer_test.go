package app

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"palmops/libs/bus"
	"palmops/libs/wire"
)

// TestAnnounced: a running executor is found by the NATS services protocol, and tells what its catalog allows; one that has stopped is not.
func TestAnnounced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	var info micro.Info
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for info.Name == "" {
		err := s.bus.Ask(ctx, "$SRV.INFO."+wire.ServiceExecutor, struct{}{}, &info)
		if err != nil && !bus.NobodyListens(err) {
			t.Fatal(err)
		}
		<-tick.C
	}
	if info.Metadata[wire.MetaInstance] != s.app.Instance() || info.Metadata[wire.MetaZone] != "local" || info.Metadata[wire.MetaPool] != "k8s" {
		t.Errorf("%+v", info)
	}
	var offer wire.Offer
	s.check(s.bus.Ask(ctx, wire.OfferSubject("local", "k8s"), struct{}{}, &offer))
	data, err := json.Marshal(offer)
	if err != nil || offer.Digest != info.Metadata[wire.MetaCatalog] || len(offer.Actions) == 0 {
		t.Errorf("%s %v", data, err)
	}
	s.stop()
	if err := s.bus.Ask(ctx, "$SRV.INFO."+wire.ServiceExecutor, struct{}{}, &info); !bus.NobodyListens(err) {
		t.Errorf("still announced: %v", err)
	}
}
