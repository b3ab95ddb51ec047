package converse

import (
	"context"

	"palmops/services/dialog/internal/session"
)

// Newest reads the newest reply of a person. *session.Store is one.
type Newest interface {
	Newest(ctx context.Context, w session.Who) (reply []byte, marks string, err error)
}

// Settled says whether the reply that calls an action accepted is with the person, or on its way there.
type Settled struct{ Store Newest }

// Settled reports false only while that reply is the newest one and neither given nor pushed.
func (s Settled) Settled(ctx context.Context, w session.Who, action string) (bool, error) {
	raw, marks, err := s.Store.Newest(ctx, w)
	if err != nil || raw == nil {
		return err == nil, err
	}
	rec, ok := decodeRecord(raw, marks)
	return !ok || rec.Order == nil || rec.Order.ID != action || rec.is(given) || rec.is(pushed), nil
}
