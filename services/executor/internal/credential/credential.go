// Package credential reads what a kind logs in with. Every secret that was ever read stays known, so that all of them can be
// masked: a server may still show the one that its file held before.
package credential

import (
	"crypto/x509"
	"slices"
	"strings"
	"sync"

	"palmops/libs/conf"
	"palmops/libs/fault"
)

// Secrets reads secrets from files and remembers them. It is safe for concurrent use; the zero value is ready.
type Secrets struct {
	mu    sync.Mutex
	known []string
}

// Read reads a file that nobody else may read, without the white space around its content; "" for no file. The error is of type
// conf.Problems.
func (s *Secrets) Read(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := conf.ReadPrivate(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(data))
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret != "" && !slices.Contains(s.known, secret) {
		s.known = append(s.known, secret)
	}
	return secret, nil
}

// Known are all secrets that were read so far.
func (s *Secrets) Known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.known)
}

// Roots reads the certificates that a server's may be signed by; nil, which are the system's, for no file. Errors: Invalid.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := conf.Read(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "%s holds no certificate", file)
	}
	return roots, nil
}
