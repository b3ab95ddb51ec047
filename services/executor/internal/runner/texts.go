package runner

import (
	_ "embed"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// langOf is the language of the person whose action this is.
func langOf(rec *wire.Record) lang.Tag { return lang.Of(rec.Lang) }

// stateWord is a state as a person reads it.
func stateWord(t lang.Tag, state string) string {
	switch state {
	case wire.StateClaimed:
		return texts.Say(t, "state.claimed")
	case wire.StateRunning:
		return texts.Say(t, "state.running")
	case wire.StateSucceeded:
		return texts.Say(t, "state.succeeded")
	case wire.StateFailed:
		return texts.Say(t, "state.failed")
	case wire.StateCanceled:
		return texts.Say(t, "state.canceled")
	case wire.StateTimeout:
		return texts.Say(t, "state.timeout")
	case wire.StateExpired:
		return texts.Say(t, "state.expired")
	case wire.StateRejected:
		return texts.Say(t, "state.rejected")
	case wire.StateUnknown:
		return texts.Say(t, "state.unknown")
	}
	return texts.Say(t, "state.none")
}
