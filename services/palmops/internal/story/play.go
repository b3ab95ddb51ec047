package story

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// World is where a story is played: the whole system in this process, or one that runs elsewhere.
type World interface {
	// Say types text as user. What comes back is read with Heard.
	Say(ctx context.Context, user, text string) error
	// Press presses the button whose text holds label on the user's newest card that has buttons.
	Press(ctx context.Context, user, label string) error
	// Heard returns what the user's phone got after seq, waiting until there is something; last is the newest seq.
	Heard(ctx context.Context, user string, after int64) (texts []string, last int64, err error)
	// Last is the newest seq of the user's phone now.
	Last(ctx context.Context, user string) (int64, error)
	// Replace puts a configuration file in place of another and waits until it is in force.
	Replace(ctx context.Context, name string, data []byte) error
}

// Play plays a story and returns the first difference as an error. Log gets every line as it is said and heard.
func Play(ctx context.Context, w World, s Story, log func(string)) error {
	p := player{world: w, log: log, screen: map[string]string{}, heard: map[string]string{}, seen: map[string]int64{}}
	for _, st := range s.Steps {
		if err := p.step(ctx, s, st); err != nil {
			return fmt.Errorf("%s: story line %d: %w", s.Name, st.Line, err)
		}
	}
	return nil
}

type player struct {
	world  World
	log    func(string)
	screen map[string]string // by user: the last text with numbers
	heard  map[string]string // by user: all texts since they spoke last
	seen   map[string]int64  // by user: up to which message expectations were matched
}

func (p *player) step(ctx context.Context, s Story, st Step) error {
	switch st.Kind {
	case Replace, Refused:
		err := p.world.Replace(ctx, st.Text, s.Files[st.With])
		p.log(fmt.Sprintf("%s %s %s: %v", st.Kind, st.Text, st.With, err))
		if st.Kind == Refused && err == nil {
			return fmt.Errorf("%s was taken for %s, it should have been refused", st.With, st.Text)
		}
		if st.Kind == Refused {
			return nil
		}
		return err
	case Says:
		text, err := p.typed(st.User, st.Text)
		if err != nil {
			return err
		}
		if p.seen[st.User], err = p.world.Last(ctx, st.User); err != nil {
			return err
		}
		p.log(st.User + "> " + text)
		if err := p.world.Say(ctx, st.User, text); err != nil {
			return err
		}
	case Presses:
		var err error
		if p.seen[st.User], err = p.world.Last(ctx, st.User); err != nil {
			return err
		}
		p.log(st.User + "! " + st.Text)
		if err := p.world.Press(ctx, st.User, st.Text); err != nil {
			return err
		}
	}
	return p.hear(ctx, st)
}

// hear reads until every expectation was met in order.
func (p *player) hear(ctx context.Context, st Step) error {
	all := ""
	for {
		missing := firstMissing(all, st.Expect)
		if missing == "" && all != "" {
			break
		}
		texts, last, err := p.world.Heard(ctx, st.User, p.seen[st.User])
		if err != nil {
			return fmt.Errorf("%s expected %q, got\n%s\n(%w)", st.User, missing, indent(all), err)
		}
		p.seen[st.User] = last
		for _, t := range texts {
			p.log(indent(t))
			all += t + "\n"
			p.heard[st.User] = all
			if numbered.MatchString(t) {
				p.screen[st.User] = t
			}
		}
	}
	for _, n := range st.Never {
		if strings.Contains(all, n) {
			return fmt.Errorf("%s must not see %q, but got\n%s", st.User, n, indent(all))
		}
	}
	return nil
}

func firstMissing(all string, expect []string) string {
	for _, e := range expect {
		i := strings.Index(all, e)
		if i < 0 {
			return e
		}
		all = all[i+len(e):]
	}
	return ""
}

var numbered = regexp.MustCompile(`(?m)^(\d+)\. (.*)$`)

// typed turns [label] into the number that stood in front of the label, and {pattern} into what it finds.
func (p *player) typed(user, text string) (string, error) {
	if len(text) > 2 && text[0] == '{' && text[len(text)-1] == '}' {
		re, err := regexp.Compile(text[1 : len(text)-1])
		if err != nil {
			return "", err
		}
		m := re.FindStringSubmatch(p.heard[user])
		if len(m) < 2 {
			return "", fmt.Errorf("%s finds no %q in\n%s", user, text, indent(p.heard[user]))
		}
		return m[1], nil
	}
	if len(text) < 3 || text[0] != '[' || text[len(text)-1] != ']' {
		return text, nil
	}
	label := text[1 : len(text)-1]
	for _, m := range numbered.FindAllStringSubmatch(p.screen[user], -1) {
		if strings.HasPrefix(m[2], label) {
			return m[1], nil
		}
	}
	return "", fmt.Errorf("%s sees no number in front of %q on\n%s", user, label, indent(p.screen[user]))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}
