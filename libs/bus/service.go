package bus

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"palmops/libs/fault"
)

// Service is one member of a service that announces itself in the NATS services protocol (ADR-32, nats.go micro).
type Service struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Metadata map[string]string `json:"metadata"`
}

// Find asks who announces a service and gathers the answers for a while: all that wait allows, less when quiet passes without
// a further one. They come in the order of their ids. Nobody at all is no error. Errors: Transient.
func (b *Bus) Find(ctx context.Context, name string, wait, quiet time.Duration) ([]Service, error) {
	inbox := b.NC.NewRespInbox()
	sub, err := b.NC.SubscribeSync(inbox)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "find "+name)
	}
	defer func() { _ = sub.Unsubscribe() }() // it is gone with the connection otherwise
	if err := b.NC.PublishRequest("$SRV.INFO."+name, inbox, nil); err != nil {
		return nil, fault.Wrap(fault.Transient, err, "find "+name)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var found []Service
	for {
		step, done := ctx, context.CancelFunc(func() {})
		if len(found) > 0 {
			step, done = context.WithTimeout(ctx, quiet)
		}
		msg, err := sub.NextMsgWithContext(step)
		done()
		switch {
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded):
			slices.SortFunc(found, func(a, b Service) int { return strings.Compare(a.ID, b.ID) })
			return found, nil
		case err != nil:
			return nil, fault.Wrap(fault.Transient, err, "find "+name)
		}
		var s Service
		if json.Unmarshal(msg.Data, &s) == nil && s.ID != "" {
			found = append(found, s)
		}
	}
}
