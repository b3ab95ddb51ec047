package mask

import (
	"regexp"
	"slices"
	"sync"
)

// Keeper is who knows secrets, such as a kind of actions.
type Keeper interface{ Secrets() []string }

// Live masks with the secrets as they are now: each text asks the keepers anew, since passwords are replaced while an executor runs.
// What was a secret once is masked until the next change: a rotated password still shows up in what was read before.
// It is safe for concurrent use.
type Live struct {
	keepers  []Keeper
	patterns []*regexp.Regexp

	mu     sync.Mutex
	now    []string // as asked last, sorted
	before []string // the ones until the last change
	m      *Masker
}

// Over masks what the keepers know, and by the patterns besides the built-in ones.
func Over[K Keeper](keepers map[string]K, patterns []*regexp.Regexp) *Live {
	l := &Live{patterns: patterns}
	for _, k := range keepers {
		l.keepers = append(l.keepers, k)
	}
	return l
}

// Text is Masker.Text with the secrets of this moment.
func (l *Live) Text(s string) string {
	if s == "" {
		return ""
	}
	return l.masker().Text(s)
}

// Strings is Masker.Strings with the secrets of this moment.
func (l *Live) Strings(texts ...*string) { l.masker().Strings(texts...) }

func (l *Live) masker() *Masker {
	var now []string
	for _, k := range l.keepers {
		now = append(now, k.Secrets()...)
	}
	slices.Sort(now)
	now = slices.Compact(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil || !slices.Equal(now, l.now) {
		l.before, l.now = l.now, now
		l.m = New(append(slices.Clone(l.now), l.before...), l.patterns)
	}
	return l.m
}
