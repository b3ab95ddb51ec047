package token_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"palmops/libs/token"
)

// An order goes from the one who signs to the one who verifies; both hold the key file of the zone.
func ExampleKeySet() {
	keys, err := token.NewKeySet("local", rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	orders, err := keys.Layered(token.Options{Leeway: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := orders.Dumps(map[string]string{"jti": "a1", "zone": "local"})
	if err != nil {
		fmt.Println(err)
		return
	}

	var claims struct {
		ID   string `json:"jti"`
		Zone string `json:"zone"`
	}
	_, err = orders.Loads(text, 2*time.Minute, &claims)
	fmt.Println(claims.ID, claims.Zone, err)

	_, err = orders.Loads(text+"A", 2*time.Minute, &claims)
	fmt.Println(token.ClassOf(err), errors.Is(err, token.ErrBadSignature))
	// Output:
	// a1 local <nil>
	// BadTimeSignature true
}

// A token of a Python program, and one it can read.
func ExampleNewURLSafeTimedSerializer() {
	clock := func() time.Time { return time.Unix(1_600_000_000, 0) }
	s, err := token.NewURLSafeTimedSerializer([][]byte{[]byte("secret-key")}, token.Options{Salt: "activate", Digest: token.SHA256, Now: clock})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := s.Dumps([]any{1, 2.5, "x"})
	fmt.Println(text, err)

	var back []any
	at, err := s.Loads(text, time.Hour, &back)
	fmt.Println(back, at, err)
	// Output:
	// WzEsMi41LCJ4Il0.X14QAA.iDG3hBJokeP3-lHMyYBlD4cZn2pWTMwv7vyFiNqx9BQ <nil>
	// [1 2.5 x] 2020-09-13 12:26:40 +0000 UTC <nil>
}
