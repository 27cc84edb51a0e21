import type { Adapter } from '../adapter.ts';
import { isS3 } from './content.ts';
import { prepareChat } from './converse.ts';
import { prepareEmbeddings } from './embeddings.ts';
import { loadFrameCodec } from './event-stream.ts';

/** Amazon Bedrock: chats by way of Converse and ConverseStream, embeddings by way of InvokeModel. */
export const bedrock: Adapter = {
  speaks: new Set(['chat', 'embeddings']),
  countsSurely: true,
  needsKey: 'optional',
  identity: 'aws',
  baseUrl: ({ region }) =>
    region === null
      ? 'missing region: the AWS region to call, such as us-east-1'
      : `https://bedrock-runtime.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`,
  keyHeaders: (secret) => ({ authorization: `Bearer ${secret}` }),
  // Bedrock fetches from S3, and from nowhere else.
  fetches: (url) => !isS3(url),
  load: loadFrameCodec,
  prepare: (ask) => (ask.dialect === 'embeddings' ? prepareEmbeddings(ask) : prepareChat(ask)),
};
