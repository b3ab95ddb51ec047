// Package envlock is the named locks of environments as values: who keeps whom out of what, why, and until when.
//
// A lock lies in the bucket ACTIONS under a key of its own (Key), and only executors write it, by compare-and-set. It is zone-wide:
// every pool whose catalog names the environment honours it. It ends by itself, by the wall clock, so that nobody who went home
// keeps others out for ever.
package envlock

import (
	_ "embed"
	"strings"
	"time"

	"palmops/libs/lang"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Prefix begins the keys of locks of environments. They have dots, which an action's id never has.
const Prefix = "hold."

// Key is the key of a lock: of the whole environment when name is "".
func Key(zone, env, name string) string {
	key := Prefix + zone + "." + env
	if name != "" {
		key += "." + name
	}
	return key
}

// Lock is the value of a key. One that was given back stays, with Freed set. Times are Unix milliseconds.
type Lock struct {
	V      int    `json:"v"`
	Env    string `json:"env"`
	Name   string `json:"name,omitempty"`
	Corp   string `json:"corp"`
	App    string `json:"app"`
	User   string `json:"user"`
	Reason string `json:"reason"`
	Since  int64  `json:"since"`
	Until  int64  `json:"until"` // not included
	ID     string `json:"id"`    // of the action that wrote this value last
	Freed  int64  `json:"freed,omitempty"`
}

// Held reports whether the lock keeps anybody out at a moment. A nil lock keeps nobody out.
func (l *Lock) Held(now time.Time) bool {
	return l != nil && l.Freed == 0 && now.UnixMilli() < l.Until
}

// Of reports whether the lock is this person's. WeCom knows no case in user ids.
func (l *Lock) Of(corp, app, user string) bool {
	return l != nil && user != "" && l.Corp == corp && l.App == app && strings.EqualFold(l.User, user)
}

// Bars reports whether the lock keeps this person out at a moment.
func (l *Lock) Bars(corp, app, user string, now time.Time) bool {
	return l.Held(now) && !l.Of(corp, app, user)
}

// Value is the lock among those of all environments: "<env>" or "<env>/<name>".
func (l *Lock) Value() string {
	if l.Name == "" {
		return l.Env
	}
	return l.Env + "/" + l.Name
}

// Place is what the lock is for, in words; title is the environment's.
func (l *Lock) Place(title lang.Words, t lang.Tag) string {
	place := title.In(t)
	if place == "" {
		place = l.Env
	}
	if l.Name != "" {
		place += "/" + l.Name
	}
	return place
}

// Clock is a moment as people read it: the time of day, with the date when that is not today's. Zone is theirs.
func Clock(at int64, now time.Time, zone *time.Location) string {
	end, today := time.UnixMilli(at).In(zone), now.In(zone)
	if end.YearDay() == today.YearDay() && end.Year() == today.Year() {
		return end.Format("15:04")
	}
	return end.Format("01-02 15:04")
}

// Say is who has the lock, until when and why, such as "lisi, until 15:30: release 2.4".
func (l *Lock) Say(now time.Time, zone *time.Location, t lang.Tag) string {
	return texts.Say(t, "lock.holder", l.User, Clock(l.Until, now, zone), l.Reason)
}
