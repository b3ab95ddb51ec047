package run

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

type reloads chan error

func (r reloads) Reload(context.Context) error { return <-r }

func TestHangupReloads(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := make(reloads)
	h := Hangup(r, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Part.Run(ctx) }()
	for _, err := range []error{nil, errors.New("line 3"), nil} {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r <- err
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := logs.FilterMessage("not reloaded; the old configuration goes on").Len(); n != 1 {
		t.Errorf("%d failures logged", n)
	}
}
