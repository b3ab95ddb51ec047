package command

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/token"
	"palmops/libs/wire"
)

// cancelPatience is how long the executors have to cancel an action.
const cancelPatience = 45 * time.Second

// actionsCancel signs a cancellation with the zone's keys, as dialog would for the person who ordered the action, and waits for
// what comes of it. Who holds the keys may do that; the audit shows the cancellation like any other.
func actionsCancel(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "actions cancel")
	dial := dialFlags(f)
	file := f.String("keys", "", "key file of the action's zone")
	rest, err := parse(f, args)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return errors.New("one id is needed; its first characters are enough")
	case *file == "":
		return errors.New("--keys must name the key file of the action's zone, such as .palmops/keys/local.json")
	}
	data, err := conf.ReadPrivate(*file)
	if err != nil {
		return err
	}
	keys, err := token.ParseKeySet(data)
	if err != nil {
		return err
	}
	b, err := dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	target, _, err := findAction(ctx, b, rest[0])
	switch {
	case err != nil:
		return err
	case wire.Final(target.State):
		return refuse(fmt.Errorf("%s has ended already: %s", wire.ShortID(target.ID), target.State))
	case keys.Zone != target.Zone:
		return refuse(fmt.Errorf("the keys are those of zone %s, the action belongs to zone %s", keys.Zone, target.Zone))
	}
	order, err := cancellation(keys, target, time.Now())
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, cancelPatience)
	defer stop()
	if _, err := b.Publish(ctx, wire.ActSubject(target.Zone, target.Pool, wire.ActionCancel, order.ID), order.ID, order); err != nil {
		return err
	}
	rec, err := outcome(ctx, b, order.ID)
	if err != nil {
		return fmt.Errorf("the cancellation %s is under way, but nothing has come of it yet: %w", wire.ShortID(order.ID), err)
	}
	if rec.State != wire.StateSucceeded {
		return refuse(fmt.Errorf("%s: %s", rec.State, rec.Summary))
	}
	fmt.Fprintln(s.Out, rec.Summary)
	return nil
}

func cancellation(keys token.KeySet, target wire.Record, now time.Time) (wire.Action, error) {
	signer, err := keys.Layered(token.Options{})
	if err != nil {
		return wire.Action{}, err
	}
	args, err := wire.CanonicalArgs(map[string]any{"id": target.ID})
	if err != nil {
		return wire.Action{}, err
	}
	c := wire.Claims{
		V: wire.Version, ID: wire.DeriveID("cli", target.ID, rand.Text()), Corp: target.Corp, App: target.App, User: target.User,
		Zone: target.Zone, Pool: target.Pool, Action: wire.ActionCancel, ArgsHash: wire.ArgsHash(args),
		IssuedAt: now.Unix(), Expires: now.Add(time.Minute).Unix(), Title: "cancel " + wire.ShortID(target.ID), Lang: "en",
	}
	text, err := signer.Dumps(c)
	return wire.Action{V: wire.Version, ID: c.ID, Token: text, Args: args}, err
}

// outcome waits until an action has ended.
func outcome(ctx context.Context, b *bus.Bus, id string) (rec wire.Record, err error) {
	kv, err := b.JS.KeyValue(ctx, wire.BucketActions)
	if err != nil {
		return rec, err
	}
	w, err := kv.Watch(ctx, id)
	if err != nil {
		return rec, err
	}
	defer func() { _ = w.Stop() }() // it ends with the connection as well
	for {
		select {
		case <-ctx.Done():
			return rec, ctx.Err()
		case e, open := <-w.Updates():
			if !open {
				return rec, errors.New("the connection broke")
			}
			if e != nil && json.Unmarshal(e.Value(), &rec) == nil && wire.Final(rec.State) {
				return rec, nil
			}
		}
	}
}
