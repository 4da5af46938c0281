package sign

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/mail"
)

// Options of a signature.
type Options struct {
	Expire time.Duration // x= is this long, at least a second, after NewStream; 0: none
}

// ErrExpired says that a message took longer to arrive than its signature would
// have been valid.
var ErrExpired = errors.New("the signature expired before the message was complete")

// Stream signs one message with several keys as its body goes by, in constant
// memory. Every Stream must be ended by Finish or Cancel, even after an error. It
// is for one goroutine at a time.
//
// The body is what will be sent, with lines ended by CRLF. A bare LF is taken as
// the end of a line and signed as CRLF, the only form in which it can be sent. A
// bare CR is refused with ErrBareCR: RFC 5321 forbids to send it and verifiers
// differ on it, so that a signature over it would hold only by luck.
type Stream struct {
	keys      []Key
	signers   []*dkim.Signer
	out       batcher
	check     bodyCheck
	expire    time.Time
	cancelled *atomic.Bool
	ended     bool
	err       error // the first one; later calls repeat it
}

// NewStream begins to sign the message with this header, by all the keys. No keys,
// a key that can't sign, a header without exactly one From field or a field with
// stray line ends is an error.
func NewStream(keys []Key, header mail.Header, o Options) (*Stream, error) {
	if len(keys) == 0 {
		return nil, errors.New("sign: no keys")
	}
	chosen, err := choose(header)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	s := &Stream{keys: keys, cancelled: new(atomic.Bool)}
	if o.Expire != 0 {
		if o.Expire < time.Second {
			return nil, fmt.Errorf("sign: expiry %v after signing: want a second or more", o.Expire)
		}
		s.expire = time.Now().Add(o.Expire)
	}
	if err := s.start(chosen); err != nil {
		s.Cancel()
		return nil, fmt.Errorf("sign: %w", err)
	}
	return s, nil
}

// start makes one library signer, with its goroutine, per key.
func (s *Stream) start(chosen signable) error {
	var writers []io.Writer
	for _, key := range s.keys {
		options, err := s.options(key, chosen.names)
		if err != nil {
			return err
		}
		signer, err := dkim.NewSigner(options)
		if err != nil {
			return fmt.Errorf("key %s: %w", key.Name(), err)
		}
		s.signers = append(s.signers, signer)
		writers = append(writers, signer)
	}
	s.out = batcher{to: writers[0], waiting: chosen.fields}
	if len(writers) > 1 {
		s.out.to = io.MultiWriter(writers...)
	}
	return nil
}

func (s *Stream) options(key Key, names []string) (*dkim.SignOptions, error) {
	if err := key.check(); err != nil {
		return nil, err
	}
	identity, err := key.identity()
	if err != nil {
		return nil, err
	}
	return &dkim.SignOptions{
		Domain:                 string(key.Domain),
		Selector:               key.Selector,
		Identifier:             identity,
		Signer:                 newEngine(key.Signer, s.cancelled),
		HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization:   dkim.CanonicalizationRelaxed,
		HeaderKeys:             names,
		Expiration:             s.expire,
	}, nil
}

// Write takes the next bytes of the body. After an error the stream can only be
// cancelled.
func (s *Stream) Write(p []byte) (int, error) {
	if s.ended && s.err == nil {
		s.err = errors.New("sign: write after the end")
	}
	if s.err != nil {
		return 0, s.err
	}
	if err := s.check.next(p); err != nil {
		s.fail(err)
		return 0, s.err
	}
	n, err := s.out.Write(p)
	if err != nil {
		s.fail(err)
		return n, s.err
	}
	return n, nil
}

// Finish ends the body and returns one DKIM-Signature field per key, in the keys'
// order, ready to be put before the message; on any error, none.
func (s *Stream) Finish() ([]mail.Field, error) {
	if s.ended && s.err == nil {
		s.err = errors.New("sign: finished already")
	}
	if s.err != nil {
		return nil, s.err
	}
	if err := s.complete(); err != nil {
		s.fail(err)
		return nil, s.err
	}
	fields, err := s.fields()
	if err != nil {
		s.fail(err)
		return nil, s.err
	}
	return fields, nil
}

// complete hands over what is left of the body, if it may be signed.
func (s *Stream) complete() error {
	if err := s.check.end(); err != nil {
		return err
	}
	if !s.expire.IsZero() && time.Now().After(s.expire) {
		return ErrExpired
	}
	return s.out.Flush()
}

// fields ends every library signer and collects the signatures.
func (s *Stream) fields() ([]mail.Field, error) {
	s.ended = true
	if err := s.close(); err != nil {
		return nil, err
	}
	fields := make([]mail.Field, len(s.signers))
	for i, signer := range s.signers {
		field, err := signatureField(signer.Signature())
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", s.keys[i].Name(), err)
		}
		fields[i] = field
	}
	return fields, nil
}

// close ends all the library's goroutines, whatever one of them says.
func (s *Stream) close() error {
	var errs []error
	for i, signer := range s.signers {
		if err := signer.Close(); err != nil {
			errs = append(errs, fmt.Errorf("key %s: %w", s.keys[i].Name(), err))
		}
	}
	return errors.Join(errs...)
}

// fail ends the stream for good.
func (s *Stream) fail(err error) {
	s.err = fmt.Errorf("sign: %w", err)
	s.Cancel()
}

// Cancel frees the stream without signing; harmless after Finish.
func (s *Stream) Cancel() {
	if s.ended {
		return
	}
	s.ended = true
	s.cancelled.Store(true)
	_ = s.close() // ends the goroutines; there is nothing to sign
}
