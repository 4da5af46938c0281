package relay

import "fmt"

// trouble is why nothing can be given to a destination, now or ever.
type trouble struct {
	permanent bool
	status    string // RFC 3463
	words     string
	host, tls string // of the server that said it; empty: nobody did
	answered  bool   // words are a server's reply
	loop      bool   // mail would come back to us
}

func (t *trouble) Error() string { return t.words }

func forGood(status, format string, args ...any) *trouble {
	return &trouble{permanent: true, status: status, words: fmt.Sprintf(format, args...)}
}

func later(status, format string, args ...any) *trouble {
	return &trouble{status: status, words: fmt.Sprintf(format, args...)}
}
