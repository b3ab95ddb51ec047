package bus

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
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

// mostServices bounds one Find: whoever can publish can answer.
const mostServices = 2000

// Find asks who announces a service and gathers the answers for a while: all that wait allows, less when quiet passes without
// a further one. Each member counts once; they come in the order of their ids. Nobody at all is no error. Errors: Transient, the
// question could not be asked, or the connection broke or ctx ended while it was answered: then nobody knows who is missing.
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
	all, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	found := map[string]Service{}
	for range mostServices {
		data, err := nextAnswer(all, sub, quiet, len(found) > 0)
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && b.NC.IsConnected() {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Transient, err, "find "+name)
		}
		if s, ok := serviceOf(data, name); ok && found[s.ID].ID == "" {
			found[s.ID] = s
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Service) int { return strings.Compare(a.ID, b.ID) }), nil
}

// nextAnswer waits for one more answer.
func nextAnswer(ctx context.Context, sub *nats.Subscription, quiet time.Duration, more bool) ([]byte, error) {
	if more {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, quiet)
		defer done()
	}
	msg, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return msg.Data, nil
}

// serviceOf reads an answer; ok is false for one that is not of the service.
func serviceOf(data []byte, name string) (s Service, ok bool) {
	err := json.Unmarshal(data, &s)
	return s, err == nil && s.Name == name && s.ID != ""
}
