package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	driver "github.com/go-sql-driver/mysql"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/services/executor/internal/phone"
)

// Numbers of the server's errors, the same in MySQL and MariaDB unless said otherwise.
const (
	errNoThread = 1094
	errNoQuery  = 1957 // MariaDB's KILL QUERY ID
	errNotOwner = 1095
)

// number is that of the server's error; 0 for what the server did not say.
func number(err error) uint16 {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// powerless reports whether the account has not the rights for a statement.
func powerless(err error) bool {
	return slices.Contains([]uint16{1044, 1142, 1143, 1227, 1370, errNotOwner, 1345, 1410}, number(err))
}

// lost reports whether an error leaves open what became of the statement: there was no answer, or the session ended under it.
func lost(err error) bool {
	switch number(err) {
	case 0, 1053, 1317, 1927, 1969, 3024: // shutdown, interrupted, killed, out of time
		return true
	}
	return false
}

// explain gives an error its kind and a text in a language. Name is that of the target.
func explain(err error, t lang.Tag, name string) error {
	if err == nil {
		return nil
	}
	give := func(k fault.Kind, key string, args ...any) error {
		return fault.WithText(fault.Wrap(k, err, "mysql "+name), texts.Say(t, key, args...))
	}
	var untrusted *tls.CertificateVerificationError
	var own *fault.Error
	var addr *net.DNSError
	var file conf.Problems // the password cannot be read any more
	switch number(err) {
	case 1045, 1698, 1130, 1129, 1251, 1862, 1820, 3118, 4151: // password, host, plugin, expired, locked
		return give(fault.Denied, "server.login", name)
	case 1044, 1142, 1143, 1227, 1370, errNotOwner, 1345, 1410: // as in powerless
		return give(fault.Denied, "server.rights", name)
	case 1040, 1203, 1226:
		return give(fault.Transient, "server.full", name)
	case 1290, 1792, 1836:
		return give(fault.Denied, "server.read_only", name)
	case 1049, 1054, 1064, 1146, 1305, 1295, 1210, 1222, 1241, 1242, 1366, 1690, 1365:
		return give(fault.Invalid, "server.statement", phone.Line(serverText(err), 200))
	case 1205, 1213:
		return give(fault.Transient, "server.locked", name)
	case 1969, 3024, 1317:
		return give(fault.Transient, "server.late", name)
	}
	switch {
	case errors.As(err, &own) && own.Text != "":
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return give(fault.Transient, "server.late", name)
	case errors.As(err, &file):
		return give(fault.Denied, "server.login", name)
	case errors.As(err, &untrusted), errors.Is(err, driver.ErrNoTLS):
		return give(fault.Denied, "server.tls", name)
	case errors.As(err, &addr) && addr.IsNotFound:
		return give(fault.Transient, "server.unknown_host", name)
	}
	return give(fault.Transient, "server.down", name)
}

func serverText(err error) string {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}
