package looptest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
)

func TestAddress(t *testing.T) {
	at, err := Address()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // free, and free again
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		from, _, err := net.SplitHostPort(c.LocalAddr().String())
		if err != nil || from != "127.0.0.1" {
			t.Errorf("it comes from %s, %v", from, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCertificate(t *testing.T) {
	at, err := Address()
	if err != nil {
		t.Fatal(err)
	}
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := Certificate(t.TempDir(), host)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		t.Fatal("no authority")
	}
	for name, fine := range map[string]bool{host: true, "127.0.0.1": false} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); (err == nil) != fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}
