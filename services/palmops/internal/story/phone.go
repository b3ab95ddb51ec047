package story

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/png" // the only form that is sent
	"slices"
	"strings"

	"palmops/libs/fault"
	"palmops/services/simulator/client"
)

// Phones is the world behind a simulator: its people are the ones who speak.
type Phones struct {
	Client *client.Client
	// Config puts a configuration file in force; nil where the system runs elsewhere.
	Config func(ctx context.Context, name string, data []byte) error
}

var _ World = Phones{}

// Say types text as user.
func (p Phones) Say(ctx context.Context, user, text string) error {
	_, err := p.Client.Say(ctx, client.SayRequest{User: user, Text: text})
	return err
}

// Press presses a button of the newest card that still has buttons.
func (p Phones) Press(ctx context.Context, user, label string) error {
	all, err := p.Client.Messages(ctx, user, 0, 0)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(all) {
		if m.Card == nil || m.Card.Disabled || len(m.Card.Buttons) == 0 {
			continue
		}
		for _, b := range m.Card.Buttons {
			if strings.Contains(b.Text, label) {
				_, err := p.Client.Press(ctx, client.PressRequest{User: user, TaskID: m.Card.TaskID, Key: b.Key})
				return err
			}
		}
		return fault.New(fault.NotFound, "the newest card of %s has no button %q:\n%s", user, label, m.Text)
	}
	return fault.New(fault.NotFound, "%s has no card with buttons", user)
}

// Heard waits for messages newer than after.
func (p Phones) Heard(ctx context.Context, user string, after int64) ([]string, int64, error) {
	for {
		news, err := p.Client.Messages(ctx, user, uint64(after), client.MaxWait)
		if err != nil {
			return nil, after, err
		}
		if len(news) == 0 {
			if err := ctx.Err(); err != nil {
				return nil, after, err
			}
			continue
		}
		texts := make([]string, len(news))
		for i, m := range news {
			if texts[i], err = p.text(ctx, m); err != nil {
				return nil, after, err
			}
		}
		return texts, int64(news[len(news)-1].Seq), nil
	}
}

// text is a message as a story reads it. An image is fetched, so that only one that can be seen is heard as one.
func (p Phones) text(ctx context.Context, m client.Message) (string, error) {
	if m.Kind != client.KindImage || m.File == nil {
		return m.Text, nil
	}
	data, err := p.Client.File(ctx, m.File.MediaID)
	if err != nil {
		return "", err
	}
	size, form, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "image "+m.File.Name)
	}
	return fmt.Sprintf("[%s %dx%d] %s", form, size.Width, size.Height, m.File.Name), nil
}

// Last is the newest message the user has.
func (p Phones) Last(ctx context.Context, user string) (int64, error) {
	all, err := p.Client.Messages(ctx, user, 0, 0)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return int64(all[len(all)-1].Seq), nil
}

// Replace puts a configuration file in force.
func (p Phones) Replace(ctx context.Context, name string, data []byte) error {
	if p.Config == nil {
		return fault.New(fault.Invalid, "the configuration of a system that runs elsewhere cannot be replaced")
	}
	if err := p.Config(ctx, name, data); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return nil
}
