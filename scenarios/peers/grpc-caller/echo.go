package main

import (
	"context"

	"github.com/golang/protobuf/proto"
	"google.golang.org/grpc"
)

// Message of lastfd.echo.v1 (servers/proto/echo.proto), written by hand: so no code need be generated, and the bundled backend serves it too.
type Message struct {
	Text string `protobuf:"bytes,1,opt,name=text,proto3"`
}

func (m *Message) Reset()         { *m = Message{} }
func (m *Message) String() string { return proto.CompactTextString(m) }
func (*Message) ProtoMessage()    {}

// say is the one call of the service.
const say = "/lastfd.echo.v1.Echo/Say"

// echo describes the service to a server: it says back what it is told.
var echo = grpc.ServiceDesc{
	ServiceName: "lastfd.echo.v1.Echo",
	HandlerType: (*interface{})(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Say",
		Handler: func(_ interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
			message := new(Message)
			return message, decode(message)
		},
	}},
}
