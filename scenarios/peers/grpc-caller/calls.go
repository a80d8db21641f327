package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// deadline of one call.
const deadline = 3 * time.Second

// calls says how the gRPC backend and the HTTP API are called; every choice but the first named is a remedy, or a fault.
type calls struct {
	backend, certificate, read, channel, after string
	api, body                                  string

	cached credentials.TransportCredentials // read is once
	shared *grpc.ClientConn                 // channel is shared
	mutex  sync.Mutex
	kept   []interface{} // what is never closed: without a reference Go might close it at some time
}

// callsFlags adds the options to those of a command.
func callsFlags(flags *flag.FlagSet) *calls {
	c := new(calls)
	flags.StringVar(&c.backend, "backend", "", "address of the gRPC backend, which speaks TLS")
	flags.StringVar(&c.certificate, "certificate", "certificate.pem", "file of the certificate to trust")
	flags.StringVar(&c.read, "read", "per-call", "the certificate is read per-call or once")
	flags.StringVar(&c.channel, "channel", "per-call", "channels: per-call or shared")
	flags.StringVar(&c.after, "after", "closed", "a channel is closed after its call, or left-open")
	flags.StringVar(&c.api, "api", "", "URL of the HTTP API")
	flags.StringVar(&c.body, "body", "kept", "a response's body is kept, closed (unread) or drained")
	return c
}

// prepare reads the certificate, so that a bad file is told at once, and makes the channel where one is to serve all calls.
func (c *calls) prepare() {
	if c.backend == "" {
		return
	}
	trusted, err := credentials.NewClientTLSFromFile(c.certificate, "localhost")
	if err != nil {
		log.Fatal(err)
	}
	if c.read == "once" {
		c.cached = trusted
	}
	if c.channel == "shared" {
		if c.shared, err = grpc.Dial(c.backend, grpc.WithTransportCredentials(trusted)); err != nil {
			log.Fatal(err)
		}
	}
}

// grpc makes one call of the backend.
func (c *calls) grpc() error {
	conn := c.shared
	if conn == nil {
		trusted := c.cached
		var err error
		if trusted == nil {
			if trusted, err = credentials.NewClientTLSFromFile(c.certificate, "localhost"); err != nil {
				return err
			}
		}
		if conn, err = grpc.Dial(c.backend, grpc.WithTransportCredentials(trusted)); err != nil {
			return err
		}
		if c.after == "closed" {
			defer conn.Close()
		} else {
			c.keep(conn)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return conn.Invoke(ctx, say, &Message{Text: "hello"}, new(Message))
}

// http makes one call of the API, and does with the response's body what it was told.
func (c *calls) http() error {
	response, err := (&http.Client{Timeout: deadline}).Get(c.api)
	if err != nil {
		return err
	}
	switch c.body {
	case "kept":
		c.keep(response)
		return nil
	case "drained":
		_, err = io.Copy(io.Discard, response.Body)
	}
	response.Body.Close()
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", c.api, response.Status)
	}
	return err
}

func (c *calls) keep(what interface{}) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.kept = append(c.kept, what)
}
