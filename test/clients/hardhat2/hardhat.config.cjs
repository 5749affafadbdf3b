/** The network of the devnet, with keys of its own. */
require('@nomicfoundation/hardhat-ethers');

const [url, ...accounts] = (process.env['QUORATE_HARDHAT'] ?? '').split(' ');
module.exports = { defaultNetwork: 'quorate', networks: { quorate: { url, accounts } } };
