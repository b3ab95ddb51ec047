package wire

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Token makes one subject token of any text. Letters are lowered, since WeCom compares user ids without case;
// every byte outside [a-z0-9_-] becomes =XX, so that different ids never meet in one subject.
func Token(s string) string {
	s = strings.ToLower(s)
	plain := s != ""
	for i := 0; plain && i < len(s); i++ {
		plain = tokenByte(s[i])
	}
	if plain {
		return s
	}
	if s == "" {
		return "="
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if tokenByte(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "=%02X", s[i])
		}
	}
	return b.String()
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// actionToken keeps the dots of an action's name out of the subject's own: k8s.scale becomes k8s_scale.
func actionToken(name string) string { return Token(strings.ReplaceAll(name, ".", "_")) }

// Partition is the lane of a user: FNV-1a over corp, app and user id (lowered), modulo n.
func Partition(corp, app, user string, n int) int {
	h := fnv.New32a()
	for _, s := range []string{corp, app, strings.ToLower(user)} {
		_, _ = h.Write([]byte(s)) // a hash never fails to write
		_, _ = h.Write([]byte{0})
	}
	return int(h.Sum32() % uint32(n))
}

// InSubject is where a user's inbound messages go.
func InSubject(corp, app, user string) string {
	return fmt.Sprintf("in.%02d.%s.%s.%s", Partition(corp, app, user, InPartitions), Token(corp), Token(app), Token(user))
}

// InLane is the filter of one inbound lane.
func InLane(p int) string { return fmt.Sprintf("in.%02d.>", p) }

// OutSubject is where messages to a user go.
func OutSubject(corp, app, user string) string {
	return fmt.Sprintf("out.%02d.%s.%s.%s", Partition(corp, app, user, OutPartitions), Token(corp), Token(app), Token(user))
}

// OutLane is the filter of one outbound lane.
func OutLane(p int) string { return fmt.Sprintf("out.%02d.>", p) }

// ActSubject is where an action for a zone's pool waits.
func ActSubject(zone, pool, action, id string) string {
	return fmt.Sprintf("act.%s.%s.%s.%s", Token(zone), Token(pool), actionToken(action), Token(id))
}

// ActPool is the filter of one pool's actions.
func ActPool(zone, pool string) string { return fmt.Sprintf("act.%s.%s.>", Token(zone), Token(pool)) }

// AskSubject is where a question to a zone's pool goes.
func AskSubject(zone, pool, action string) string {
	return fmt.Sprintf("ask.%s.%s.%s", Token(zone), Token(pool), actionToken(action))
}

// AskPool is the filter of one pool's questions.
func AskPool(zone, pool string) string { return fmt.Sprintf("ask.%s.%s.*", Token(zone), Token(pool)) }

// ResSubject is where progress and result of an action go.
func ResSubject(corp, app, id string) string {
	return fmt.Sprintf("res.%s.%s.%s", Token(corp), Token(app), Token(id))
}

// ReplySubject is where every gateway that still holds the HTTP request of message id listens.
func ReplySubject(corp, app, id string) string {
	return fmt.Sprintf("reply.%s.%s.%s", Token(corp), Token(app), Token(id))
}

// SaidSubject is where a gateway asks what was answered to a message it saw again.
func SaidSubject(corp, app string) string {
	return fmt.Sprintf("said.%s.%s", Token(corp), Token(app))
}

// DirSubject is where the directory of an app's corp is asked.
func DirSubject(corp, app string) string { return fmt.Sprintf("dir.%s.%s", Token(corp), Token(app)) }

// AuditSubject is where a service's audit lines of a corp go.
func AuditSubject(corp, service string) string {
	return fmt.Sprintf("audit.%s.%s", Token(corp), Token(service))
}
