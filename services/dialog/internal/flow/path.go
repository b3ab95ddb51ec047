package flow

import "palmops/libs/wire"

// Path is the road as it was typed, for people who look into Redis: the inputs joined by -, a - inside a value
// written \- and a \ written \\; wire.SplitInputs undoes it.
func (s Session) Path() string {
	typed := make([]string, len(s.Hops))
	for i, h := range s.Hops {
		typed[i] = h.Typed
	}
	return wire.JoinInputs(typed)
}
