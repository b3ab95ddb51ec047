package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/services/executor/internal/phone"
)

// serverText is what the server said; "" for an error that is none of its answers.
func serverText(err error) string {
	var e redis.Error
	if err == nil || !errors.As(err, &e) {
		return ""
	}
	return e.Error()
}

// explain gives an error its kind and a text in a language. Name is that of the target.
func explain(err error, t lang.Tag, name string) error {
	if err == nil {
		return nil
	}
	give := func(k fault.Kind, key string, args ...any) error {
		return fault.WithText(fault.Wrap(k, err, "redis "+name), texts.Say(t, key, args...))
	}
	said := serverText(err)
	code, _, _ := strings.Cut(said, " ")
	switch {
	case said == "":
	case code == "NOAUTH", code == "WRONGPASS", strings.Contains(said, "invalid password"), strings.Contains(said, "AUTH <password>"):
		return give(fault.Denied, "server.login", name)
	case code == "NOPERM", strings.HasPrefix(code, "DENIED"):
		return give(fault.Denied, "server.rights", name)
	case code == "READONLY":
		return give(fault.Denied, "server.read_only", name)
	case strings.Contains(said, "max number of clients"):
		return give(fault.Transient, "server.full", name)
	case code == "OOM":
		return give(fault.Transient, "server.memory", name)
	case code == "LOADING", code == "BUSY", code == "MASTERDOWN", code == "CLUSTERDOWN", code == "TRYAGAIN", code == "MOVED", code == "ASK",
		code == "MISCONF", code == "NOREPLICAS", code == "UNKILLABLE", code == "FAILOVER":
		return give(fault.Transient, "server.busy", name, code)
	default:
		return give(fault.Invalid, "server.command", phone.Line(said, 200))
	}
	var own *fault.Error
	var file conf.Problems // the password cannot be read any more
	var untrusted *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var addr *net.DNSError
	var slow net.Error
	switch {
	case errors.As(err, &own):
		return err
	case errors.Is(err, errLarge):
		return give(fault.Invalid, "server.large", name)
	case errors.As(err, &file):
		return give(fault.Denied, "server.login", name)
	case errors.As(err, &untrusted), errors.As(err, &record):
		return give(fault.Denied, "server.tls", name)
	case errors.As(err, &addr) && addr.IsNotFound:
		return give(fault.Transient, "server.unknown_host", name)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout), errors.As(err, &slow) && slow.Timeout():
		return give(fault.Transient, "server.late", name)
	}
	return give(fault.Transient, "server.down", name)
}
