package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/mtatest"
	"mailgate/internal/notice"
)

// actTimeout bounds one wait of the story: for DNS, the re-check and a delivery.
const actTimeout = 2 * time.Minute

func (s *stage) play(ctx context.Context) error {
	s.say("mailgate on one machine: two DNS providers, a hosting panel, a mail server and three receivers.")
	s.say("Everything is on loopback; the receivers check DKIM and SPF by themselves.\n")
	for _, act := range []func(context.Context) error{s.allPublished, s.keyOnlyInPanel, s.unlistedIPv6, s.tlsConflict} {
		if err := act(ctx); err != nil {
			return fmt.Errorf("the demo went wrong: %w", err)
		}
	}
	s.say("Done. Two messages were held and left by themselves once DNS was right; none bounced.")
	return nil
}

// allPublished: what a domain in good order sees of mailgate is a signature.
func (s *stage) allPublished(ctx context.Context) error {
	s.title("good.example", "key, SPF and DMARC are published")
	done, err := s.submit(ctx, "ann@good.example", "bob@gmail.test")
	if err != nil {
		return err
	}
	if done[0].Held || done[0].Err != nil {
		return fmt.Errorf("mail from good.example was not delivered: %+v", done[0])
	}
	return s.arrived(ctx, s.gmail, "ann@good.example")
}

// keyOnlyInPanel: the panel made the key's record in its own zone; the domain's
// name servers are elsewhere.
func (s *stage) keyOnlyInPanel(ctx context.Context) error {
	s.title("panel.example", "the key is only in the hosting panel's DNS; the name servers are Cloudflare's")
	if err := s.withoutMailgate(ctx, "ann@panel.example", "bob@gmail.test"); err != nil {
		return err
	}
	id, err := s.hold(ctx, "ann@panel.example", "bob@gmail.test")
	if err != nil {
		return err
	}
	if err := s.explain(ctx, id, "dkim-only-on-local-dns"); err != nil {
		return err
	}
	if err := s.dns.publishKey(s.keys, panelDomain, s.dns.ada, s.dns.bob); err != nil {
		return err
	}
	s.line("published", "the TXT record at Cloudflare; now nobody touches mailgate …")
	return s.arrived(ctx, s.gmail, "ann@panel.example")
}

// unlistedIPv6: SPF lists the IPv4 address only, and there is no key: Gmail would
// refuse what leaves over IPv6; the other receiver takes it.
func (s *stage) unlistedIPv6(ctx context.Context) error {
	s.title("nospf.example", "no key published, and SPF without the IPv6 address mail leaves from (DNS at Aliyun)")
	done, err := s.submit(ctx, "ann@nospf.example", "bob@gmail.test", "carol@other.test")
	if err != nil {
		return err
	}
	if !done[0].Held || done[1].Held || done[1].Err != nil {
		return fmt.Errorf("expected a hold for gmail.test and a delivery to other.test: %+v", done)
	}
	s.line("delivered", "the copy for other.test, which takes it")
	id, err := s.announceHold(ctx, "ann@nospf.example")
	if err != nil {
		return err
	}
	if err := s.explain(ctx, id, "spf-ipv6-missing"); err != nil {
		return err
	}
	if err := s.dns.publishSPF("v=spf1 ip4:127.0.0.1 ip6:::1 ~all"); err != nil {
		return err
	}
	s.line("published", "the SPF record at Aliyun …")
	return s.arrived(ctx, s.gmail, "ann@nospf.example")
}

// tlsConflict: one destination can't do with today's TLS; an override for it alone
// makes mail flow.
func (s *stage) tlsConflict(ctx context.Context) error {
	s.title("bank.test", "its old gateway resets the connection when TLS 1.3 is offered")
	done, err := s.submit(ctx, "ann@good.example", "dora@bank.test")
	if err != nil {
		return err
	}
	if done[0].Err == nil {
		return errors.New("bank.test took a connection that offers TLS 1.3")
	}
	s.line("deferred", smtpAnswer(done[0].Err))
	if err := s.writeConfig(s.mta.milter, true); err != nil {
		return err
	}
	if err := s.gateway.Reload(ctx); err != nil {
		return err
	}
	s.line("override", `[[tls]] destination = "bank.test", max_version = "1.2", with its reason; configuration reloaded`)
	if done, err = s.submit(ctx, "ann@good.example", "dora@bank.test"); err != nil {
		return err
	}
	if done[0].Err != nil {
		return fmt.Errorf("bank.test with the override: %w", done[0].Err)
	}
	return s.arrived(ctx, s.bank, "ann@good.example")
}

func (s *stage) submit(ctx context.Context, from string, to ...string) ([]mtatest.Delivery, error) {
	s.line("mail", fmt.Sprintf("%s -> %s", from, strings.Join(to, ", ")))
	return s.mta.Submit(ctx, from, to, letter(from, to))
}

// withoutMailgate sends the message as the site did before, and shows what the
// receiver says.
func (s *stage) withoutMailgate(ctx context.Context, from, to string) error {
	_, err := s.mta.Deliver(ctx, from, to, letter(from, []string{to}))
	if err == nil {
		return fmt.Errorf("%s took an unauthenticated message", to)
	}
	s.line("without", "mailgate the receiver answers:")
	s.quote(smtpAnswer(err))
	return nil
}

func (s *stage) hold(ctx context.Context, from, to string) (string, error) {
	done, err := s.submit(ctx, from, to)
	if err != nil {
		return "", err
	}
	if !done[0].Held {
		return "", fmt.Errorf("mail from %s was not held: %+v", from, done[0])
	}
	return s.announceHold(ctx, from)
}

func (s *stage) announceHold(ctx context.Context, from string) (string, error) {
	page, err := s.gateway.Held(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range page.Messages {
		if m.From == from && len(m.Recipients) > 0 {
			r := m.Recipients[0]
			s.line("held", fmt.Sprintf("%s for %s; predicted (rule %s):", m.ID, r.Address, r.Rule))
			s.quote(r.Reply)
			return m.ID, nil
		}
	}
	return "", fmt.Errorf("mail from %s is not in the quarantine", from)
}

// explain shows the findings behind a hold, with the servers' own answers, and
// what to publish; the expected finding must be among them.
func (s *stage) explain(ctx context.Context, id, code string) error {
	d, err := s.gateway.Show(ctx, id)
	if err != nil {
		return err
	}
	if d.Report == nil {
		return fmt.Errorf("%s has no report", id)
	}
	for _, f := range d.Report.Findings {
		if f.Status == "fail" {
			s.line("because", f.Code+": "+f.Text)
		}
	}
	if _, ok := d.Report.Find(code); !ok {
		return fmt.Errorf("%s was held without the finding %s", id, code)
	}
	for _, p := range d.Publish {
		s.publishLine(p)
	}
	return nil
}

func (s *stage) publishLine(p notice.Record) {
	s.line("publish", fmt.Sprintf("at %s: Type %s   Name %s   Content %s", p.At, p.Type, p.Name, shorten(p.Value, 60)))
}

// arrived waits for a message and tells what the receiver found.
func (s *stage) arrived(ctx context.Context, r *receiver, from string) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	start := time.Now()
	got, err := r.wait(ctx, from)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(got.dkim, "pass") && got.spf != "pass" {
		return fmt.Errorf("%s got mail from %s unauthenticated: DKIM %s, SPF %s", r.host, from, got.dkim, got.spf)
	}
	text := fmt.Sprintf("%s says: DKIM %s, SPF %s", r.host, got.dkim, got.spf)
	if got.tls != "" {
		text += ", " + got.tls
	}
	if waited := time.Since(start); waited > 100*time.Millisecond {
		text += fmt.Sprintf(", after %.1f s", waited.Seconds())
	}
	s.line("delivered", text)
	s.say("")
	return nil
}

// invite tells how to look around in a demo that stays.
func (s *stage) invite() {
	s.say("It keeps running. In another terminal:")
	s.say("  mailgate quarantine list --state all --config " + s.configFile())
	s.say("Stop: Ctrl-C")
}

func (s *stage) say(text string)         { fmt.Fprintln(s.out, text) }
func (s *stage) title(name, what string) { fmt.Fprintf(s.out, "%s: %s\n", name, what) }
func (s *stage) line(word, text string)  { fmt.Fprintf(s.out, "  %-10s %s\n", word, text) }
func (s *stage) quote(text string)       { fmt.Fprintf(s.out, "  %-10s %s\n", "", text) }

func shorten(text string, max int) string {
	if len(text) <= max {
		return text
	}
	return text[:max] + "…"
}

func letter(from string, to []string) []byte {
	domain := mail.Domain(domainOf(from))
	return fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: Hello from %s\r\nDate: %s\r\nMessage-ID: <%d@%s>\r\n\r\nHow are you?\r\n",
		from, strings.Join(to, ", "), domain, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), domain)
}
