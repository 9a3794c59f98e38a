// SPDX-License-Identifier: Apache-2.0
// What memlab's parser (@memlab/core) finds in a .heapsnapshot: objects and bytes by type, and the way from the text up to the list of names.
// memlab.js FILE: the last line is JSON.
const {utils} = require('@memlab/core');

async function main(file) {
    const snapshot = await utils.getSnapshotFromFile(file, {buildNodeIdIndex: true, verbose: false});
    const types = {};
    const way = [];
    snapshot.nodes.forEach(node => {
        if (node.type !== 'object')
            return;
        const row = types[node.name] = types[node.name] || {objects: 0, bytes: 0};
        row.objects++;
        row.bytes += node.self_size;
        if (node.name === 'text')
            for (let at = node; at.type === 'object'; at = at.referrers[0].fromNode)
                way.push(at.name);
    });
    console.log(JSON.stringify({types, way}));
}

main(process.argv[2]).catch(error => {
    console.error(error);
    process.exit(1);
});
