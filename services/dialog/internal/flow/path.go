package flow

import "palmops/libs/wire"

// Path is the road as it was typed, for people who look into Redis: the inputs joined by -, a - inside a value
// written \- and a \ written \\.
func (s Session) Path() string {
	typed := make([]string, len(s.Hops))
	for i, h := range s.Hops {
		typed[i] = h.Typed
	}
	return wire.JoinInputs(typed)
}

// SplitPath undoes Path. The empty path has no inputs.
func SplitPath(path string) []string { return wire.SplitInputs(path) }
